"""What an owner has: its wallets, and what is read of them."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.contenttypes.fields import GenericRelation
from django.db import DEFAULT_DB_ALIAS, models, router, transaction
from django.utils import timezone

from usage_credits import conf
from usage_credits.dsl.plans import SubscriptionPlan
from usage_credits.dsl.wallet_options import WalletOptions
from usage_credits.exceptions import WalletNotFound
from usage_credits.ledger.runways import check_days, runway
from usage_credits.ledger.wallets import (
    asset_of,
    find_available,
    find_available_for,
    find_wallet,
    open_wallet,
)
from usage_credits.models import MANUAL_SOURCE, Fulfillment, FulfillmentKind, Transaction, Wallet
from usage_credits.models.transaction import TransactionQuerySet
from usage_credits.spending import operation_named
from usage_credits.twins import twin_method


class _Wallets(GenericRelation):
    """The wallets that go with an owner; the database deletes none that is in another one."""

    def bulk_related_objects(self, objs: Any, using: str = DEFAULT_DB_ALIAS) -> Any:
        home = router.db_for_write(Wallet, instance=objs[0])
        wallets = super().bulk_related_objects(objs, home)
        if home != using and wallets:
            message = f"The wallets of this owner are in the database {home!r}: call detach_owner first."
            raise models.ProtectedError(message, set(wallets))
        return wallets


class OwnsWallets(models.Model):
    """The part of `usage_credits.HasWallet` that finds, creates and reads wallets."""

    wallet_options = WalletOptions()
    _wallets = _Wallets(Wallet, "owner_id", "owner_type")

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the owner; a new one commits together with its wallet and its free plan."""
        if not self._state.adding:
            super().save(*args, **kwargs)
            return
        with transaction.atomic(using=kwargs.get("using") or router.db_for_write(type(self), instance=self)):
            super().save(*args, **kwargs)

    @property
    def credits(self) -> int:
        """Return what can be spent now, on whatever, never negative. One statement; creates nothing.

        Counts all credits, those too that only some operations may spend; see `credits_for`. A missing wallet reads as
        its initial balance where wallets are created automatically; otherwise raises WalletNotFound.
        """
        return self._or_initial(find_available(self))

    def credits_for(self, operation: Any, /) -> int:
        """Return what can be spent on `operation` now, never negative. One statement; creates nothing.

        Raises InvalidOperation, and WalletNotFound as `credits` does.
        """
        return self._or_initial(find_available_for(self, operation_named(operation).name))

    def credit_runway(self, days: int = 30) -> int | None:
        """Return for how many whole days the credits last at the pace of the last `days`, None where none were spent.

        See `usage_credits.ledger.runways.runway`. Creates nothing: without a wallet nothing was spent. Raises
        InvalidValue.
        """
        check_days(days)
        wallet = self.find_wallet()
        return None if wallet is None else runway(wallet, days)

    @property
    def credit_wallet(self) -> Wallet | None:
        """Return the wallet of the default asset, created where missing; None where that is switched off."""
        return self.wallet() if self.wallet_options.auto_create else self.find_wallet()

    @property
    def credit_history(self) -> TransactionQuerySet:
        """Return the default wallet's transactions, oldest first; none without a wallet."""
        wallet = self.find_wallet()
        history: TransactionQuerySet = wallet.history() if wallet else Transaction.objects.none()
        return history

    @property
    def credit_subscriptions(self) -> list[SubscriptionPlan]:
        """Return the plans of the subscriptions that have not stopped.

        Left out are plans that have gone from settings, and those without payment that wait for their start.
        """
        wallet = self.find_wallet()
        if wallet is None:
            return []
        active = Fulfillment.objects.using(wallet._state.db).active().filter(wallet=wallet)
        names = (
            active.filter(kind=FulfillmentKind.SUBSCRIPTION)
            .exclude(source=MANUAL_SOURCE, last_fulfilled_at=None, next_fulfillment_at__gt=timezone.now())
            .order_by("pk")
            .values_list("plan_name", flat=True)
        )
        plans = (conf.find_subscription_plan(name) for name in names)
        return [plan for plan in plans if plan is not None]

    def wallet(self, asset: str | None = None) -> Wallet:
        """Return the wallet of `asset` (default: the default asset), created where it is missing.

        Safe in a race and inside the caller's transaction. Raises InvalidValue for an owner that is not saved.
        """
        return open_wallet(self, asset)

    def find_wallet(self, asset: str | None = None) -> Wallet | None:
        """Return the wallet of `asset` (default: the default asset) or None; creates nothing. One statement."""
        return find_wallet(self, asset)

    def has_wallet(self, asset: str | None = None) -> bool:
        """Tell whether there is a wallet of `asset`; creates nothing. One statement."""
        return find_wallet(self, asset) is not None

    acredits_for = twin_method(credits_for)
    acredit_runway = twin_method(credit_runway)
    awallet = twin_method(wallet)
    afind_wallet = twin_method(find_wallet)
    ahas_wallet = twin_method(has_wallet)

    async def acredits(self) -> int:
        """Await `credits`, which is read in Django's thread."""
        return await sync_to_async(lambda: self.credits)()

    async def acredit_wallet(self) -> Wallet | None:
        """Await `credit_wallet`, which is found or created in Django's thread."""
        return await sync_to_async(lambda: self.credit_wallet)()

    async def acredit_history(self) -> TransactionQuerySet:
        """Await `credit_history`; what it returns is read by `async for`."""
        return await sync_to_async(lambda: self.credit_history)()

    async def acredit_subscriptions(self) -> list[SubscriptionPlan]:
        """Await `credit_subscriptions`, which are read in Django's thread."""
        return await sync_to_async(lambda: self.credit_subscriptions)()

    def _or_initial(self, available: int | None) -> int:
        if available is not None:
            return available
        if self.wallet_options.auto_create:
            return self.wallet_options.initial_balance
        raise self._not_found()

    def _payer(self) -> Wallet:
        wallet = self.credit_wallet
        if wallet is None:
            raise self._not_found()
        return wallet

    def _not_found(self) -> WalletNotFound:
        return WalletNotFound(
            f"{type(self).__name__} {self.pk} has no {asset_of(self)} wallet and auto_create is off: "
            "create one with .wallet()."
        )

"""Give any model a wallet: the mixin, and what a project asks of its owners."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar, cast

from django.contrib.contenttypes.fields import GenericRelation
from django.db import models, router, transaction
from django.db.models import BigIntegerField, CharField, F, OuterRef, Subquery, Value
from django.db.models.functions import Cast, Coalesce, Greatest
from django.utils import timezone

from usage_credits import conf
from usage_credits.billing.plans import check_startable, start_plan
from usage_credits.charging import SpendingBlock
from usage_credits.dsl import categories
from usage_credits.dsl.plans import SubscriptionPlan
from usage_credits.dsl.wallet_options import WalletOptions
from usage_credits.exceptions import WalletNotFound
from usage_credits.ledger.balances import signed_balance
from usage_credits.ledger.caps import lets_spend
from usage_credits.ledger.credits import credit_entry, post_credit
from usage_credits.ledger.debits import post_debit
from usage_credits.ledger.dry_runs import DryRun, dry_run, dry_run_without_wallet
from usage_credits.ledger.holds import post_hold
from usage_credits.ledger.wallets import (
    asset_of,
    find_available,
    find_wallet,
    open_wallet,
    options_of,
    owner_type,
)
from usage_credits.models import MANUAL_SOURCE, Fulfillment, FulfillmentKind, Hold, Transaction, Wallet
from usage_credits.models.transaction import TransactionQuerySet
from usage_credits.spending import ChargeOptions, charge_entry, quote
from usage_credits.values import check_metadata

Owner = TypeVar("Owner", bound=models.Model)


class HasWallet(models.Model):
    """Mixin that gives a model's instances wallets of credits.

    `wallet_options` says what a new wallet starts with and whether it is created by itself. Deleting an owner deletes
    wallets without history and is refused (ProtectedError) once there is any; see `detach_owner`.
    """

    wallet_options = WalletOptions()
    _wallets = GenericRelation(Wallet, "owner_id", "owner_type")

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
        """Return what can be spent now, never negative. One statement; creates nothing.

        A missing wallet reads as its initial balance where wallets are created automatically; otherwise raises
        WalletNotFound.
        """
        available = find_available(self)
        if available is not None:
            return available
        if self.wallet_options.auto_create:
            return self.wallet_options.initial_balance
        raise self._not_found()

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

    def give_credits(
        self,
        amount: int,
        *,
        reason: Any = None,
        expires_at: datetime.datetime | datetime.date | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Transaction:
        """Grant `amount` credits and return the transaction.

        `reason` chooses the category ("signup", "referral", anything with "bonus", else manual_adjustment) and is kept
        in the metadata as given. Otherwise as `usage_credits.ledger.credits.credit`.
        """
        reason = reason.value if isinstance(reason, Enum) else reason
        entry = credit_entry(
            amount,
            category=categories.category_of_grant(reason),
            expires_at=expires_at,
            metadata=_with_reason(metadata, reason),
            idempotency_key=idempotency_key,
        )
        return post_credit(self._payer(), entry)

    def estimate_credits_to(self, operation: Any, /, **params: Any) -> int:
        """Return what `operation` would cost, in credits; reads and writes nothing. Raises InvalidOperation."""
        return quote(operation, params).price

    def has_enough_credits_to(
        self, operation: Any, /, *, attributed_to: str | None = None, **params: Any
    ) -> bool:
        """Tell whether `operation` can be paid now, within the caps of `attributed_to`. Raises as `plan_spend_on`."""
        price = quote(operation, params).price
        return lets_spend(self, attributed_to, price) and (price == 0 or price <= self.credits)

    def plan_spend_on(self, operation: Any, /, *, attributed_to: str | None = None, **params: Any) -> DryRun:
        """Return what charging `operation` would do now; see `usage_credits.ledger.dry_runs.DryRun`.

        Reads only. Raises InvalidOperation, InvalidValue, and WalletNotFound as `credits` does.
        """
        price = quote(operation, params).price
        wallet = self.find_wallet()
        if wallet is None and self.wallet_options.auto_create:
            return dry_run_without_wallet(self.wallet_options.initial_balance, price, attributed_to)
        return dry_run(wallet or self._payer(), price, attributed_to)

    def spend_credits_on(
        self,
        operation: Any,
        /,
        *,
        idempotency_key: str | None = None,
        attributed_to: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        **params: Any,
    ) -> Transaction | None:
        """Charge `operation` and return the transaction, None when it is free.

        The row's metadata is that of `usage_credits.spending.charge_entry`; it locks and commits as
        `usage_credits.ledger.debits.debit` does.

        Raises InvalidOperation, InsufficientCredits, IdempotencyConflict, InvalidValue.
        """
        entry = charge_entry(
            quote(operation, params),
            idempotency_key=idempotency_key,
            attributed_to=attributed_to,
            metadata=metadata,
        )
        return post_debit(self._payer(), entry) if entry else None

    def hold_credits_for(
        self,
        operation: Any,
        /,
        *,
        ttl: datetime.timedelta | None = None,
        idempotency_key: str | None = None,
        attributed_to: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        **params: Any,
    ) -> Hold | None:
        """Reserve what `operation` would cost and return the hold, None when it is free.

        What is captured of it carries the metadata of `usage_credits.spending.audited_entry`. Otherwise as
        `usage_credits.ledger.holds.hold`. Raises InvalidOperation too.
        """
        entry = charge_entry(
            quote(operation, params),
            idempotency_key=idempotency_key,
            attributed_to=attributed_to,
            metadata=metadata,
        )
        return post_hold(self._payer(), entry, ttl) if entry else None

    def spending_credits_on(
        self,
        operation: Any,
        /,
        *,
        ttl: datetime.timedelta | None = None,
        idempotency_key: str | None = None,
        attributed_to: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        **params: Any,
    ) -> SpendingBlock:
        """Charge `operation` around work: a context manager, an async one, or a decorator of either.

        See `usage_credits.charging.SpendingBlock`; `with … as charge` yields a `Charge`. Raises InvalidOperation now,
        and InsufficientCredits when the block is entered.
        """
        options = ChargeOptions(
            idempotency_key=idempotency_key, attributed_to=attributed_to, metadata=metadata
        )
        return SpendingBlock(self._payer, quote(operation, params), ttl, options)

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


def create_wallet_with_owner(
    sender: type[models.Model], instance: HasWallet, created: bool, raw: bool, **kwargs: Any
) -> None:
    """Create the default wallet of an owner saved for the first time, and start its free plan, in one transaction.

    Fixtures (`raw`) bring their own. Raises InvalidValue for a free plan that cannot be started.
    """
    options = instance.wallet_options
    if not created or raw or not options.auto_create:
        return
    free_plan = options.free_plan and check_startable(options.free_plan, "free_plan")
    with transaction.atomic(using=router.db_for_write(Wallet, instance=instance)):
        instance.wallet()
        if free_plan:
            start_plan(instance, free_plan)


def _with_reason(metadata: Mapping[str, Any] | None, reason: object) -> Mapping[str, Any] | None:
    if reason is None or not (metadata is None or isinstance(metadata, Mapping)):
        return metadata
    kept = check_metadata({"reason": reason if isinstance(reason, str) else str(reason)}, "reason")
    return {**(metadata or {}), **kept}


def with_credits(queryset: models.QuerySet[Owner], asset: str | None = None) -> models.QuerySet[Owner]:
    """Annotate each owner of `queryset` with `credits_now`, what it can spend now, in the same statement.

    An owner without a wallet gets its initial balance where wallets are created automatically, else None. Works for
    integer and UUID keys on every database, as long as owners and wallets live in the same one.
    """
    model = queryset.model
    options = options_of(model)
    asset = asset_of(model, asset)
    seeded = options.initial_balance if asset == asset_of(model) else 0
    available = Greatest(
        signed_balance(timezone.now()) - F("booked_held"), Value(0), output_field=BigIntegerField()
    )
    wallets = Wallet.objects.filter(
        owner_type=owner_type(model, queryset.db),
        owner_id=Cast(OuterRef("pk"), CharField(max_length=255)),
        asset=asset,
    )
    credits_now = Subquery(wallets.values(now=available), output_field=BigIntegerField())
    missing = Value(seeded if options.auto_create else None, output_field=BigIntegerField())
    annotated: Any = queryset.annotate(credits_now=Coalesce(credits_now, missing))
    return cast("models.QuerySet[Owner]", annotated)

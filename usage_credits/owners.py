"""Give any model a wallet: the mixin, and what a project asks of its owners."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from asgiref.sync import sync_to_async
from django.db import models, router, transaction

from usage_credits import conf
from usage_credits.billing.plans import check_startable, start_plan
from usage_credits.billing.recharge_settings import (
    MOST_A_DAY,
    MOST_A_MONTH,
    find_recharge_setting,
    set_recharge,
    stop_recharge,
)
from usage_credits.charging import SpendingBlock
from usage_credits.dsl import categories
from usage_credits.exceptions import WalletNotFound
from usage_credits.ledger.caps import lets_spend
from usage_credits.ledger.credits import credit_entry, post_credit
from usage_credits.ledger.debits import post_debit
from usage_credits.ledger.dry_runs import DryRun, dry_run, dry_run_without_wallet
from usage_credits.ledger.holds import post_hold
from usage_credits.ledger.usage_records import check_message, record_use
from usage_credits.ledger.wallets import owned_wallet
from usage_credits.models import Hold, RechargeSetting, Transaction, Wallet
from usage_credits.owner_wallets import OwnsWallets
from usage_credits.spending import ChargeOptions, audited_entry, charge_entry, quote
from usage_credits.twins import twin_method
from usage_credits.values import check_metadata


class HasWallet(OwnsWallets):
    """Mixin that gives a model's instances wallets of credits.

    `wallet_options` says what a new wallet starts with and whether it is created by itself. Deleting an owner deletes
    wallets without history and is refused (ProtectedError) once there is any; see `detach_owner`.
    """

    class Meta:
        abstract = True

    def give_credits(
        self,
        amount: int,
        *,
        reason: Any = None,
        expires_at: datetime.datetime | datetime.date | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        priority: int = 0,
        scope: Iterable[str | Enum] | None = None,
    ) -> Transaction:
        """Grant `amount` credits and return the transaction.

        `reason` chooses the category ("signup", "referral", anything with "bonus", else manual_adjustment) and is kept
        in the metadata as given. `scope` names operations of settings; others are refused (InvalidValue). Otherwise as
        `usage_credits.ledger.credits.credit`.
        """
        reason = reason.value if isinstance(reason, Enum) else reason
        entry = credit_entry(
            amount,
            category=categories.category_of_grant(reason),
            expires_at=expires_at,
            metadata=_with_reason(metadata, reason),
            idempotency_key=idempotency_key,
            priority=priority,
            scope=scope,
        )
        conf.current().catalogue.check_scope(entry.scope)
        return post_credit(self._payer(), entry)

    def estimate_credits_to(self, operation: Any, /, **params: Any) -> int:
        """Return what `operation` would cost, in credits; reads and writes nothing. Raises InvalidOperation."""
        return quote(operation, params).price

    def has_enough_credits_to(
        self, operation: Any, /, *, attributed_to: str | None = None, **params: Any
    ) -> bool:
        """Tell whether `operation` can be paid now, within the caps of `attributed_to`. Raises as `plan_spend_on`."""
        quoted = quote(operation, params)
        return lets_spend(self, attributed_to, quoted.price) and (
            quoted.price == 0 or quoted.price <= self.credits_for(quoted.operation.name)
        )

    def plan_spend_on(self, operation: Any, /, *, attributed_to: str | None = None, **params: Any) -> DryRun:
        """Return what charging `operation` would do now; see `usage_credits.ledger.dry_runs.DryRun`.

        Reads only. Raises InvalidOperation, InvalidValue, and WalletNotFound as `credits` does.
        """
        quoted = quote(operation, params)
        wallet = self.find_wallet()
        if wallet is None and self.wallet_options.auto_create:
            return dry_run_without_wallet(self.wallet_options.initial_balance, quoted.price, attributed_to)
        return dry_run(wallet or self._payer(), quoted.price, quoted.operation.name, attributed_to)

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
        if entry is None:
            return None
        try:
            return post_debit(owned_wallet(self), entry)
        except WalletNotFound:
            return post_debit(self._payer(), entry)

    def record_usage(
        self,
        operation: Any,
        /,
        *,
        message: str,
        attributed_to: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        **params: Any,
    ) -> Transaction | None:
        """Charge what `operation` has used under the id of its message, and return the transaction.

        Once for each `message` (text of 1 to 240 characters): the same counts again post nothing and return the latest
        row with `replayed` set, changed ones post the difference, a debit or a credit that gives it back. None where
        nothing was ever charged. What was used is due: it may take the balance below zero, and caps do not refuse it.

        The row's metadata is that of a charge, with `message`; `model` and `member` among the parameters are columns
        of the row too. Otherwise as `usage_credits.ledger.usage_records.record_use`. Raises InvalidOperation,
        IdempotencyConflict, InvalidValue.
        """
        message = check_message(message)
        quoted = quote(operation, params)
        entry = audited_entry(quoted, attributed_to=attributed_to, metadata=metadata)
        try:
            return record_use(owned_wallet(self), message, quoted.price, entry)
        except WalletNotFound:
            return record_use(self._payer(), message, quoted.price, entry)

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

    def set_recharge(
        self,
        pack: Any,
        *,
        threshold: int,
        max_per_day: int = MOST_A_DAY,
        max_per_month: int = MOST_A_MONTH,
        payment_method: str | None = None,
    ) -> RechargeSetting:
        """Buy `pack` by itself when the balance is below `threshold`. See `billing.recharge_settings.set_recharge`."""
        return set_recharge(
            self,
            pack,
            threshold=threshold,
            max_per_day=max_per_day,
            max_per_month=max_per_month,
            payment_method=payment_method,
        )

    def stop_recharge(self) -> RechargeSetting | None:
        """Buy nothing by itself any more. See `usage_credits.billing.recharge_settings.stop_recharge`."""
        return stop_recharge(self)

    @property
    def recharge_setting(self) -> RechargeSetting | None:
        """Return what the default wallet is recharged by, also where that is off; None if it was never set."""
        return find_recharge_setting(self)

    async def arecharge_setting(self) -> RechargeSetting | None:
        """Await `recharge_setting`, which is read in Django's thread."""
        return await sync_to_async(lambda: self.recharge_setting)()

    aset_recharge = twin_method(set_recharge)
    astop_recharge = twin_method(stop_recharge)
    agive_credits = twin_method(give_credits)
    ahas_enough_credits_to = twin_method(has_enough_credits_to)
    aplan_spend_on = twin_method(plan_spend_on)
    aspend_credits_on = twin_method(spend_credits_on)
    arecord_usage = twin_method(record_usage)
    ahold_credits_for = twin_method(hold_credits_for)


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

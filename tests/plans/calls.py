"""The public calls whose plans are looked at, and by which indexes they find what they need."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from django.utils import timezone

from tests.app.models import User
from tests.factories import configured, days
from tests.plans.filling import SMALL_WALLETS
from usage_credits import credits, key_spend, usage_summary, with_credits
from usage_credits.billing import recharge
from usage_credits.billing.fulfillment import count_due, fulfill_due
from usage_credits.billing.grants import start_grant
from usage_credits.ledger.expiry import book_expired, count_expired
from usage_credits.models import PaymentNotice, Transaction, Wallet

Act = Callable[[], Any]

A_FEW = 150
"""How many rows a statement may look at that needs a few: whatever the history, fewer than there are small wallets."""
POSTED_SINCE = 2_500
"""Rows that the hot wallet got in two days; a report reads no earlier ones."""
SETTINGS = SMALL_WALLETS + 1
"""As many wallets may be recharged. Their balances are looked up, by indexes, whatever their histories."""
OPEN_HOLDS = 2_000
"""How many there are. PostgreSQL may look through them where nearly all holds of one wallet have been closed."""


class Call(NamedTuple):
    prepare: Callable[[Wallet], Act]
    """Do what has to come before, and return the call itself."""
    indexes: tuple[str, ...]
    """By which indexes it reads, besides primary keys; without the app's prefix and Django's hash."""
    rows: int = A_FEW
    """How many rows each of its statements may look at."""


class Job(NamedTuple):
    act: Act
    indexes: tuple[str, ...]
    """As of a call."""
    rows: int = A_FEW


def _hold(wallet: Wallet) -> Any:
    return wallet.hold(7)


def _transfer(wallet: Wallet) -> Any:
    return wallet.transfer_to(User.objects.create(username="receiver").wallet(), 9)


def _overdraw(wallet: Wallet) -> Transaction:
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        return wallet.debit(wallet.available + 100)


def _owe(wallet: Wallet) -> Wallet:
    credit = wallet.credit(10)
    wallet.debit(wallet.available)
    credit.reverse()
    return wallet


def _cap(wallet: Wallet) -> Wallet:
    wallet.set_cap("key", 100, every="day")
    return wallet


def _after(prepare: Callable[[Wallet], Any], act: Callable[[Any], Any]) -> Callable[[Wallet], Act]:
    return lambda wallet: partial(act, prepare(wallet))


def _of(act: Callable[[Wallet], Any]) -> Callable[[Wallet], Act]:
    return lambda wallet: partial(act, wallet)


def ago(**length: int) -> datetime.datetime:
    return timezone.now() - datetime.timedelta(**length)


WRITES = {
    "debit": Call(_of(lambda wallet: wallet.debit(5)), ("open_lots",)),
    "debit with a key": Call(
        _of(lambda wallet: wallet.debit(5, idempotency_key="new")),
        ("open_lots", "one_effect_per_key", "one_alias_per_key"),
    ),
    "debit again": Call(
        _of(lambda wallet: wallet.debit(1, idempotency_key="job 3", category="operation_charge")),
        ("one_effect_per_key",),
    ),
    "debit_many": Call(_of(lambda wallet: wallet.debit_many([1] * 10)), ("open_lots",)),
    "debit of a capped key": Call(
        _after(_cap, lambda wallet: wallet.debit(5, attributed_to="key")),
        ("one_cap_per_window", "open_holds"),
    ),
    "credit": Call(_of(lambda wallet: wallet.credit(5, legacy_keys=["a", "b"])), ("open_lots",)),
    "credit that settles a debt": Call(
        _after(_overdraw, lambda row: row.wallet.credit(200)), ("overdrafts",)
    ),
    "credit that pays a claim": Call(_after(_owe, lambda wallet: wallet.credit(200)), ("debt_wallet_id",)),
    "spend": Call(
        _of(lambda wallet: wallet.owner.spend_credits_on("report", idempotency_key="new")),
        ("one_wallet", "open_lots"),
    ),
    "hold": Call(
        _of(lambda wallet: wallet.hold(5, idempotency_key="new")), ("one_hold_per_key", "open_lots")
    ),
    "capture": Call(_after(_hold, lambda hold: hold.capture(5)), ("held_once", "open_lots"), OPEN_HOLDS),
    "release": Call(_after(_hold, lambda hold: hold.release()), ("held_once",), OPEN_HOLDS),
    "transfer": Call(_of(_transfer), ("open_lots",)),
    "reverse a debit": Call(
        _after(lambda wallet: wallet.debit(5), lambda row: row.reverse()),
        ("reversals", "debt_reverses_id_key", "allocation_debit_id"),
    ),
    "reverse a credit": Call(
        _after(lambda wallet: wallet.credit(5), lambda row: row.reverse()),
        ("lot_transaction_id_key", "allocation_lot_id"),
    ),
    "reverse a transfer": Call(_after(_transfer, lambda moved: moved.reverse()), ("of_transfer",)),
    "set_cap": Call(_of(lambda wallet: wallet.set_cap("key 7", 100, every="hour")), ("one_cap_per_window",)),
    "start_grant": Call(
        _of(lambda wallet: start_grant(wallet.owner, credits(5).every("month"), idempotency_key="new")),
        ("fulfillment_wallet_id",),
    ),
    "delete the owner of an empty wallet": Call(
        lambda wallet: User.objects.create(username="leaver").delete,
        ("lot_wallet_id", "debt_wallet_id", "fulfillment_wallet_id"),
    ),
}
READS = {
    "credits": Call(_of(lambda wallet: wallet.owner.credits), ("one_wallet", "open_lots")),
    "credits_for": Call(_of(lambda wallet: wallet.owner.credits_for("report")), ("one_wallet", "open_lots")),
    "credit_subscriptions": Call(
        _of(lambda wallet: wallet.owner.credit_subscriptions),
        ("one_wallet", "fulfillment_wallet_id"),
    ),
    "with_credits": Call(
        _of(lambda wallet: list(with_credits(User.objects.order_by("pk"))[:10])), ("one_wallet", "open_lots")
    ),
    "balance": Call(_of(lambda wallet: wallet.balance), ("open_lots",)),
    "balance_at": Call(_of(lambda wallet: wallet.balance_at(ago(hours=26))), ("open_lots", "by_date")),
    "balance to come": Call(_of(lambda wallet: wallet.balance_at(timezone.now() + days(9))), ("open_lots",)),
    "is_due to be recharged": Call(
        _of(recharge.is_due), ("rechargesetting_wallet_id_key", "recharge_in_flight_of_id_key", "open_lots")
    ),
    "plan_debit": Call(_of(lambda wallet: wallet.plan_debit(5)), ("open_lots",)),
    "latest rows": Call(_of(lambda wallet: list(wallet.transactions.recent(50))), ()),
    "statement": Call(
        _of(lambda wallet: wallet.statement(since=ago(days=91), until=ago(days=90))),
        ("by_date",),
        POSTED_SINCE,
    ),
    "usage_summary": Call(
        _of(lambda wallet: usage_summary(wallet.owner, since=ago(hours=25))),
        ("one_wallet", "by_date"),
        POSTED_SINCE,
    ),
    "key_spend": Call(
        _of(lambda wallet: key_spend("key 7", wallet=wallet, since=ago(hours=25))), ("by_date",), POSTED_SINCE
    ),
}
JOBS = {
    "count_expired": Job(count_expired, ("lots_to_expire",)),
    "book_expired": Job(lambda: list(book_expired(batch_size=20)), ("open_lots",)),
    "count_due": Job(count_due, ("due",)),
    "fulfill_due": Job(lambda: list(fulfill_due(batch_size=20)), ("due", "one_award_per_date", "stopping")),
    "count_recharges": Job(
        recharge.count_due,
        ("rechargesetting_wallet_id_key", "recharge_in_flight_of_id_key", "open_lots", "to_resume"),
        SETTINGS,
    ),
    "notices": Job(lambda: list(PaymentNotice.objects.unresolved()), ("open_notices",)),
}

"""The jobs that queues run: what the commands call, with plain values in and out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from django.db import connections, router

from usage_credits.billing.fulfillment import Fulfilled, fulfill_due
from usage_credits.billing.recharge import Recharged, is_due, recharge_due
from usage_credits.exceptions import InvalidValue, UsageCreditsError
from usage_credits.ledger.expiry import Expired, book_expired
from usage_credits.ledger.verification import verify
from usage_credits.ledger.wallet_ranges import WalletRange, check_wallets, cut
from usage_credits.models import Wallet
from usage_credits.values import MAX_BATCH

logger = logging.getLogger("usage_credits")

MAX_SHARDS = 1_000
"""How many ranges of wallets a job is parted into at most."""

MAX_LOGGED = 100
"""How many findings one verification logs; all are counted."""

Figures = dict[str, int]


class JobFailed(UsageCreditsError):
    """A job ran to its end and found what somebody must look at; what it booked stays booked."""


def expire(wallets: WalletRange | None, using: str, *, batch_size: int) -> Figures:
    """Book what has expired and release the holds whose time is over; return what was booked."""
    return asdict(sum(book_expired(batch_size=batch_size, wallets=wallets, using=using), Expired()))


def fulfill(wallets: WalletRange | None, using: str, *, batch_size: int) -> Figures:
    """Award what is due and return what was awarded; raises JobFailed where something stayed due."""
    done = sum(fulfill_due(batch_size=batch_size, wallets=wallets, using=using), Fulfilled())
    if done.failed:
        raise JobFailed(f"Fulfillments that stay due: {done.failed}. Awards made: {done.awarded}.")
    return asdict(done)


def recharge(wallets: WalletRange | None, using: str, *, batch_size: int) -> Figures:
    """Recharge what is due and return what came of it; raises JobFailed where Stripe left some without an answer."""
    done = sum(recharge_due(batch_size=batch_size, wallets=wallets, using=using), Recharged())
    if done.unanswered:
        raise JobFailed(f"Recharges without an answer: {done.unanswered}. Paid: {done.paid}.")
    return asdict(done)


def recharge_soon(send: Callable[..., object], wallet: Wallet | None) -> None:
    """`send` the job for one wallet if a recharge of it is due, in one statement that asks."""
    if wallet is not None and is_due(wallet):
        send(wallets=[wallet.pk, wallet.pk], database=wallet._state.db)


def prove(wallets: WalletRange | None, using: str) -> Figures:
    """Check every invariant; log each row that breaks one, then raise JobFailed."""
    found = 0
    for finding in verify(wallets=wallets, using=using):
        found += 1
        if found <= MAX_LOGGED:
            logger.error("%s", finding)
    if found:
        raise JobFailed(f"Rows that break an invariant: {found}.")
    return {"findings": 0}


def run(
    job: Callable[..., Figures],
    send: Callable[..., object],
    *,
    wallets: object,
    shards: object,
    database: str | None,
    **options: Any,
) -> Figures:
    """Run `job` now, or for two shards and more `send` it once for each range of the wallets' primary keys.

    A range that is sent is `wallets` of its own. The ranges hold every wallet there is now; sent again, as after a
    crash in between, they are worked through again, which finds nothing left to do.
    Returns the job's figures, or how many ranges were sent. Raises InvalidValue before anything is done or sent.
    """
    within = check_wallets(wallets)
    if type(shards) is not int or not 1 <= shards <= MAX_SHARDS:
        raise InvalidValue.of("shards", shards, f"a whole number (int) from 1 to {MAX_SHARDS}")
    using = database or router.db_for_write(Wallet)
    if using not in connections:
        raise InvalidValue.of("database", database, f"one of {', '.join(connections)}, or None")
    if "batch_size" in options:
        _check_batch_size(options["batch_size"])
    if shards == 1:
        return job(within, using, **options)
    ranges = cut(within, shards, using)
    for part in ranges:
        send(wallets=list(part), database=database, **options)
    return {"ranges": len(ranges)}


def _check_batch_size(value: object) -> None:
    if type(value) is not int or not 1 <= value <= MAX_BATCH:
        raise InvalidValue.of("batch_size", value, f"a whole number (int) from 1 to {MAX_BATCH}")

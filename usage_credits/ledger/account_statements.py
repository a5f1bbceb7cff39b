"""State a wallet's account between two dates."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from django.db import router

from usage_credits.ledger.figures import between
from usage_credits.models import Transaction, Wallet


@dataclass(frozen=True)
class AccountStatement:
    """What a wallet had, each row of a period, oldest first, and what it had then: opening + rows = closing."""

    opening: int
    rows: tuple[Transaction, ...]
    closing: int


def account_statement(
    wallet: Wallet,
    *,
    since: datetime.datetime | datetime.date | None = None,
    until: datetime.datetime | datetime.date | None = None,
) -> AccountStatement:
    """Return the wallet's rows from `since` on and before `until` (aware datetimes, or dates: midnight UTC).

    The balances are those of the ledger: what has expired counts until its expiration is booked, so that the
    statement of a period that is over never changes. Two statements at most. Raises InvalidValue.
    """
    using = router.db_for_read(Wallet, instance=wallet)
    rows = Transaction.objects.using(using).filter(wallet=wallet)
    period = between(since, until, "created_at")
    found = tuple(rows.filter(period).oldest_first())
    if found:
        return AccountStatement(found[0].balance_before, found, found[-1].balance_after)
    before = None
    if since is not None:
        earlier = rows.filter(between(None, since, "created_at")).newest_first()
        before = earlier.values_list("balance_after", flat=True).first()
    balance: int = before or 0
    return AccountStatement(balance, (), balance)

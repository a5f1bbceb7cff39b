"""Tell a wallet's balance over time, by a number of statements that neither its history nor the days change."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import NamedTuple

from django.db import router
from django.db.models import BigIntegerField, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from usage_credits.dsl.categories import EXPIRATION
from usage_credits.exceptions import InvalidValue
from usage_credits.ledger.balances import balance_and_held
from usage_credits.ledger.local_dates import midnight
from usage_credits.models import Allocation, Lot, Transaction, Wallet

LONGEST = 366
"""The most days that a history tells of."""


class DayBalance(NamedTuple):
    """The signed balance at the end of a day of the current time zone; of today, as it is now."""

    day: datetime.date
    balance: int


class _Waiting(NamedTuple):
    """What of a lot had expired, from `since` on, and was not booked before `until` (None: still is not)."""

    since: datetime.datetime
    until: datetime.datetime | None
    amount: int


def balance_history(wallet: Wallet, days: int = 30, *, every: int = 1) -> list[DayBalance]:
    """Return the balance at the end of each of the last `days` days, today's the last, in the current time zone.

    With `every`, only of each so many days, counted back from today: a year of weeks is built in a seventh of the
    time. Expired lots never count, booked or not, as in `balance_at`. Four statements. Raises InvalidValue for `days`
    and `every` that are no whole number (int) from 1 to 366, and WalletNotFound.
    """
    for field, number in (("days", days), ("every", every)):
        if type(number) is not int or not 1 <= number <= LONGEST:
            raise InvalidValue.of(field, number, f"a whole number (int) from 1 to {LONGEST}")
    today = timezone.localdate()
    dates = [today - datetime.timedelta(days=back) for back in range(0, days, every)][::-1]
    ends = [midnight(date, after=1) for date in dates[:-1]]
    balance, _held = balance_and_held(wallet)
    balances = _balances_at(wallet, ends) if ends else []
    return [DayBalance(*pair) for pair in zip(dates, [*balances, balance], strict=True)]


def _balances_at(wallet: Wallet, moments: Sequence[datetime.datetime]) -> list[int]:
    using = router.db_for_read(Wallet, instance=wallet)
    # One look-up a moment by the index on wallet and date, all in one statement: no row between two moments is read.
    rows = Transaction.objects.using(using).filter(wallet=wallet)
    latest = {
        f"at_{number}": Coalesce(
            Subquery(
                rows.filter(created_at__lt=moment).order_by("-created_at", "-pk").values("balance_after")[:1],
                output_field=BigIntegerField(),
            ),
            0,
        )
        for number, moment in enumerate(moments)
    }
    booked = Wallet.objects.using(using).filter(pk=wallet.pk).annotate(**latest).values_list(*latest).get()
    waiting = [*_booked_late(wallet, moments[0], using), *_not_booked(wallet, using)]
    return [
        balance
        - sum(
            part.amount
            for part in waiting
            if part.since < moment and (part.until is None or part.until >= moment)
        )
        for moment, balance in zip(moments, booked, strict=True)
    ]


def _booked_late(wallet: Wallet, since: datetime.datetime, using: str) -> list[_Waiting]:
    """Return what expired before it was booked, and was booked at `since` or later."""
    expirations = Transaction.objects.using(using).filter(
        wallet=wallet, category=EXPIRATION, hold=None, created_at__gte=since
    )
    # Each books what is left of one lot. Looked up for each, as a join of all may be read from its other end.
    lots = Allocation.objects.filter(debit=OuterRef("pk")).order_by("pk")
    found = expirations.values_list(
        Subquery(lots.values("lot__expires_at")[:1]),
        Subquery(lots.values("lot__transaction__created_at")[:1]),
        "created_at",
        "amount",
    )
    return [
        _Waiting(max(expiry, created), booked, -amount)
        for expiry, created, booked, amount in found
        if expiry is not None and expiry < booked
    ]


def _not_booked(wallet: Wallet, using: str) -> list[_Waiting]:
    expired = Lot.objects.using(using).filter(wallet=wallet).expired(timezone.now())
    found = expired.values_list("expires_at", "transaction__created_at", "remaining")
    return [
        _Waiting(max(expiry, created), None, amount)
        for expiry, created, amount in found
        if expiry is not None
    ]

"""Spending caps: set, remove and list how much the keys of a wallet may spend in each window of time."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

from django.db import models, router
from django.db.models import F, Q, QuerySet, Sum
from django.utils import timezone

from usage_credits.dsl.periods import Period
from usage_credits.exceptions import InvalidValue
from usage_credits.ledger.capped import caps_at, left_of, next_window, window_at
from usage_credits.ledger.journal import posting
from usage_credits.ledger.keys import check_key
from usage_credits.ledger.wallets import find_wallet
from usage_credits.models import SpendingCap, Transaction, Wallet
from usage_credits.values import check_amount, check_text

SHORTEST = datetime.timedelta(seconds=1)


@dataclass(frozen=True)
class CapStatus:
    """What a cap leaves its key now, in credits.

    `every` is the length of its windows in ISO 8601; `spent` counts in the window that `resets_at` (UTC) ends, `held`
    is what open holds of the key keep besides. `left` is never negative.
    """

    attributed_to: str
    every: str
    limit: int
    spent: int
    held: int
    left: int
    resets_at: datetime.datetime


def set_cap(wallet: Wallet, attributed_to: str, limit: int, *, every: Any) -> SpendingCap:
    """Let a key spend no more than `limit` credits (int, 0 to 2**63 - 1) in each window, and return the cap.

    `every` is a period of at least a second: "day", "2 weeks", "P1M", a timedelta or a relativedelta. Windows are
    those of the calendar in UTC: days and hours, weeks from Monday, months, years; longer ones are counted from
    Monday, 2001-01-01. A key may have several caps, one for each period; set again, a cap's limit changes. A new one
    counts what the key spent in the running window, for which it reads the window's rows.

    Locks the wallet's row; commits with the caller's transaction, or by itself. Raises InvalidValue (InvalidAmount
    for the limit).
    """
    key = check_text(attributed_to, "attributed_to")
    check_amount(limit, "limit", minimum=0)
    period = cap_period(every)
    with posting(wallet) as post:
        caps = _caps_of(post.wallet, key, period)
        cap = caps.first()
        if cap is None:
            begun = window_at(period, post.now)
            rows = Transaction.objects.using(caps.db).filter(wallet=post.wallet)
            before = (
                rows.filter(created_at__lt=begun).newest_first().values_list("pk", flat=True).first() or 0
            )
            cap = SpendingCap(wallet=post.wallet, attributed_to=key, every=period, limit=limit)
            cap.window_start, cap.counts_from, cap.created_at = begun, before + 1, post.now
            cap.spent = _spent(rows, key, cap.counts_from)
            cap.save(using=caps.db)
            _count(post.wallet, 1)
        elif cap.limit != limit:
            cap.limit = limit
            cap.save(using=caps.db, update_fields=["limit"])
    return cap


def remove_cap(wallet: Wallet, attributed_to: str, every: Any = None) -> int:
    """Lift the cap of a key with windows of `every` (default: all its caps) and return how many there were.

    Locks the wallet's row; commits with the caller's transaction, or by itself. Raises InvalidValue.
    """
    key = check_text(attributed_to, "attributed_to")
    period = None if every is None else cap_period(every)
    with posting(wallet) as post:
        removed, _ = _caps_of(post.wallet, key, period).delete()
        if removed:
            _count(post.wallet, -removed)
    return removed


def caps(wallet: Wallet, attributed_to: str | None = None) -> list[CapStatus]:
    """Return the wallet's caps as they are now, those of one key or all, by key; one statement, no lock.

    Raises InvalidValue.
    """
    key = check_key(attributed_to, "attributed_to")
    using = router.db_for_read(Wallet, instance=wallet)
    found = SpendingCap.objects.using(using).filter(wallet=wallet)
    if key is not None:
        found = found.filter(attributed_to=key)
    return [
        CapStatus(
            cap.attributed_to, cap.every, cap.limit, cap.spent, cap.held, left_of(cap), next_window(cap)
        )
        for cap in caps_at(found, timezone.now())
    ]


def lets_spend(owner: models.Model, attributed_to: str | None, amount: int) -> bool:
    """Tell whether the key's caps in the owner's default wallet let it spend `amount` now; True without a key.

    One statement for a key, one more where the wallet has caps. Raises InvalidValue.
    """
    key = check_key(attributed_to, "attributed_to")
    wallet = find_wallet(owner) if key is not None and amount else None
    if wallet is None or not wallet.cap_count:
        return True
    return all(amount <= cap.left for cap in caps(wallet, key))


def cap_period(every: object) -> str:
    """Return the period of a cap's windows as it is stored, in ISO 8601; raise InvalidValue for what is none."""
    period = Period.parse(every, "every")
    if period.approximate_length < SHORTEST:
        raise InvalidValue.of("every", every, "a period of at least a second")
    return period.iso


def _caps_of(wallet: Wallet, key: str, period: str | None) -> QuerySet[SpendingCap]:
    using = wallet._state.db or router.db_for_write(Wallet)
    found = SpendingCap.objects.using(using).filter(wallet=wallet, attributed_to=key)
    return found if period is None else found.filter(every=period)


def _spent(rows: QuerySet[Transaction], key: str, first: int) -> int:
    """Return what the key spent from the transaction `first` on, less what was reversed of that."""
    undone = {"reverses__pk__gte": first, "reverses__attributed_to": key, "reverses__amount__lt": 0}
    counted = rows.filter(Q(attributed_to=key, amount__lt=0) | Q(**undone), pk__gte=first)
    return -(counted.aggregate(total=Sum("amount"))["total"] or 0)


def _count(wallet: Wallet, more: int) -> None:
    wallets = Wallet.objects.using(wallet._state.db).filter(pk=wallet.pk)
    wallets.update(cap_count=F("cap_count") + more)

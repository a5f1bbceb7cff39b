"""What spending caps leave the keys of a wallet, within a posting.

A cap's windows are those of the calendar in UTC. A window opens with the first debit of the key in it, and stays until
a later one does: a clock that steps back opens no window again, what the key spends then counts in the latest one.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast
from weakref import proxy

from django.db import router
from django.db.backends.utils import CursorWrapper
from django.db.models import BigIntegerField, F, OuterRef, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from usage_credits.dsl.grid import Grid
from usage_credits.dsl.periods import Period
from usage_credits.exceptions import CapExceeded
from usage_credits.ledger.changes import Update, store
from usage_credits.ledger.dialects import MAX_PARAMETERS
from usage_credits.models import Hold, SpendingCap, Transaction, Wallet

if TYPE_CHECKING:
    from usage_credits.ledger.posting import Posting

ANCHOR: Final = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)
"""From where windows are counted: a Monday, and the first day of a month and of a year."""

NOT_POSTED: Final = 0
"""Stands for the first transaction of a window as long as there is none."""


def window_at(every: str, moment: datetime.datetime) -> datetime.datetime:
    """Return when the window began that `moment` is in."""
    return Grid(ANCHOR, Period.parse(every)).last_until(moment) or ANCHOR


def window_after(every: str, moment: datetime.datetime) -> datetime.datetime:
    """Return when the window ends that `moment` is in, and the next one begins."""
    return Grid(ANCHOR, Period.parse(every)).first_after(moment)


def next_window(cap: SpendingCap) -> datetime.datetime:
    """Return when the cap's window ends and the next one begins."""
    return window_after(cap.every, cap.window_start)


def left_of(cap: SpendingCap) -> int:
    """Return what the cap leaves its key in its window, never negative."""
    return max(cap.limit - cap.spent - cap.held, 0)


def with_held(caps: QuerySet[SpendingCap], now: datetime.datetime) -> QuerySet[SpendingCap]:
    """Annotate caps with `held`, what open holds of their keys keep."""
    holds = Hold.objects.filter(wallet=OuterRef("wallet"), is_open=True, expires_at__gt=now)
    kept = holds.filter(attributed_to=OuterRef("attributed_to")).order_by().values("wallet")
    total = Subquery(kept.values(kept=Sum(F("amount") - F("captured"))), output_field=BigIntegerField())
    annotated: Any = caps.annotate(**{"held": Coalesce(total, 0)})
    return cast("QuerySet[SpendingCap]", annotated)


def bring_to(cap: SpendingCap, now: datetime.datetime) -> SpendingCap:
    """Let a cap stand in its window of `now`, in memory, and return it."""
    begun = window_at(cap.every, now)
    if begun > cap.window_start:
        cap.window_start, cap.spent, cap.counts_from = begun, 0, NOT_POSTED
    return cap


def caps_at(caps: QuerySet[SpendingCap], now: datetime.datetime) -> list[SpendingCap]:
    """Return caps as they stand at `now`, by key; one statement."""
    return [bring_to(cap, now) for cap in with_held(caps, now).order_by("attributed_to", "pk")]


class Caps:
    """The caps of a wallet in a posting; those of a key are read when it first spends."""

    def __init__(self, post: Posting) -> None:
        """Start from the locked wallet; one without caps is asked nothing."""
        self.changed: dict[int, SpendingCap] = {}
        self._post: Posting = proxy(post)  # as that of its holds
        self._expected: set[str] = set()
        self._read: dict[str, list[SpendingCap]] = {}

    def expect(self, keys: Iterable[str | None]) -> None:
        """Let the caps of all `keys` be read at once, when those of one of them are needed."""
        self._expected.update(key for key in keys if key is not None)

    def check(self, key: str | None, amount: int) -> None:
        """Raise CapExceeded where the caps of `key` do not let it spend `amount` besides what its holds keep.

        Where several do not, the error is of the one that resets last: no sooner can the amount be spent.
        """
        refusing = [cap for cap in self._of(key) if amount > cap.limit - cap.spent - cap.held]
        if key is not None and refusing:
            cap = max(refusing, key=lambda cap: (next_window(cap), -left_of(cap)))
            raise CapExceeded(key, cap.every, cap.limit, left_of(cap), amount, next_window(cap))

    def check_all(self, amounts: Iterable[tuple[str | None, int]]) -> None:
        """Raise CapExceeded for the first key that may not spend all its amounts together."""
        totals: defaultdict[str | None, int] = defaultdict(int)
        for key, amount in amounts:
            totals[key] += amount
        for key, total in totals.items():
            self.check(key, total)

    def count(self, debit: Transaction) -> None:
        """Count a debit of this posting in the windows of its key."""
        for cap in self._of(debit.attributed_to):
            cap.spent -= debit.amount
            self.changed[cap.pk] = cap

    def uncount(self, debit: Transaction, amount: int) -> None:
        """Give back the room that `amount` of a stored debit took, where its window is still the latest."""
        for cap in self._of(debit.attributed_to):
            if NOT_POSTED < cap.counts_from <= debit.pk:
                cap.spent -= amount
            # Also where a new window has begun: in the stored one the ledger now shows that the key spent less.
            self.changed[cap.pk] = cap

    def _of(self, key: str | None) -> list[SpendingCap]:
        if key is None or not self._post.wallet.cap_count:
            return []
        if key not in self._read:
            self._expected.add(key)
            self._read |= self._find(sorted(self._expected))
        return self._read[key]

    def _find(self, keys: Sequence[str]) -> Mapping[str, list[SpendingCap]]:
        found: dict[str, list[SpendingCap]] = {key: [] for key in keys}
        wallet = self._post.wallet
        caps = SpendingCap.objects.using(wallet._state.db or router.db_for_write(Wallet)).filter(
            wallet=wallet
        )
        for start in range(0, len(keys), MAX_PARAMETERS // 2):
            batch = keys[start : start + MAX_PARAMETERS // 2]
            for cap in caps_at(caps.filter(attributed_to__in=batch), self._post.now):
                found[cap.attributed_to].append(cap)
        return found


def write_caps(posts: Sequence[Posting], cursor: CursorWrapper) -> None:
    """Store what the postings counted, after their rows; a window that they opened counts from their first row."""
    for post in posts:
        for cap in post.caps.changed.values():
            cap.counts_from = cap.counts_from or post.rows[0].pk
    caps = [cap for post in posts for cap in post.caps.changed.values()]
    store([Update(caps, ("spent", "window_start", "counts_from"))], cursor)

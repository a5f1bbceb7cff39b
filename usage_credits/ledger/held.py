"""What holds keep of a wallet's lots, within a posting: placed, captured, given back."""

from __future__ import annotations

import datetime
from bisect import insort
from collections.abc import Collection, Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any
from weakref import proxy

from django.db import router

from usage_credits.exceptions import InsufficientCredits
from usage_credits.ledger.changes import Insert, Update
from usage_credits.ledger.dialects import MAX_PARAMETERS
from usage_credits.ledger.entries import DebitEntry
from usage_credits.ledger.events import Happening, announce_posting
from usage_credits.models import HeldLot, Hold, Lot, Transaction, Wallet

if TYPE_CHECKING:
    from usage_credits.ledger.posting import Posting

RELEASED, RAN_OUT, NOT_NEEDED = "released", "expired", "captured"
"""Why a hold gave something back: it was asked to, its time was over, its last capture left it."""


def overdue_parts(wallets: Collection[Wallet], now: datetime.datetime) -> Iterable[HeldLot]:
    """Return what open holds keep whose time is over, hold by hold; one statement, none where nothing is held."""
    holding = [wallet for wallet in wallets if wallet.booked_held]
    if not holding:
        return ()
    using = holding[0]._state.db or router.db_for_write(Wallet)
    parts = HeldLot.objects.using(using).filter(
        hold__wallet__in=holding, hold__is_open=True, hold__expires_at__lte=now
    )
    return parts.select_related("hold", "lot").order_by("hold", "pk")


class Holds:
    """The holds of a wallet in a posting. Lots that a hold keeps nothing of any more are forgotten."""

    def __init__(self, post: Posting, overdue: Iterable[HeldLot]) -> None:
        """Start from the locked wallet; `total` is the sum of what open holds keep."""
        self.total = post.wallet.booked_held
        self.new: list[Hold] = []
        self.new_parts: list[HeldLot] = []
        self.changed: dict[int, Hold] = {}
        self.parts: dict[int, HeldLot] = {}
        # A proxy, so that a posting is gone at its end: in batches the garbage collector took a tenth of the time.
        self._post: Posting = proxy(post)
        self._overdue = overdue
        self._events: list[tuple[int, Happening]] = []

    @property
    def has_changes(self) -> bool:
        """Tell whether there is anything to store."""
        return bool(self.new or self.changed)

    def end_overdue(self, lots: list[Lot]) -> None:
        """Give back what overdue holds keep, into `lots`, the posting's lots in spending order."""
        for _pk, parts in groupby(self._overdue, key=lambda part: part.hold_id):
            kept = list(parts)
            self.release(kept[0].hold, kept, RAN_OUT, lots)

    def place(self, hold: Hold) -> Hold:
        """Take what `hold` keeps out of the lots, in spending order; raises CapExceeded, InsufficientCredits."""
        payers = self._post.payers(hold.operation)
        available = self._post.available_in(payers)
        self._post.caps.check(hold.attributed_to, hold.amount)
        if hold.amount > available:
            raise InsufficientCredits(available, hold.amount)
        for lot, kept in self._post.draw(payers, hold.amount):
            self.new_parts.append(HeldLot(hold=hold, lot=lot, amount=kept))
        self.total += hold.amount
        self.new.append(hold)
        self._tell("hold_placed", hold, hold.amount)
        return hold

    def capture(self, hold: Hold, parts: list[HeldLot], entry: DebitEntry, *, final: bool) -> Transaction:
        """Append the debit that charges `hold`, paid by what it keeps, whether or not that has expired meanwhile.

        What is beyond that is taken from the wallet; raises CapExceeded where the hold's key may not spend it, and
        InsufficientCredits where it is not there. The last capture gives back what is left.
        """
        kept = sum(part.amount for part in parts)
        payers = self._post.payers(entry.operation)
        more, available = max(entry.amount - kept, 0), self._post.available_in(payers)
        if more:
            self._post.caps.check(entry.attributed_to, more)
        if more > available:
            raise InsufficientCredits(kept + available, entry.amount)
        row = self._post.add_debit(entry, hold=hold)
        self._pay(row, parts, entry.amount - more)
        self._post.take(row, payers, more)
        hold.captured += entry.amount
        self.changed[hold.pk] = hold
        self._tell("hold_captured", hold, entry.amount, transaction=row)
        if final or entry.amount >= kept:
            self.release(hold, parts, NOT_NEEDED, self._post.lots)
        return row

    def release(self, hold: Hold, parts: Sequence[HeldLot], reason: str, lots: list[Lot]) -> None:
        """Close `hold` and give what it keeps back to its lots; what has expired meanwhile is gone at once.

        Debts are settled by what comes back, as by a credit.
        """
        hold.is_open = False
        self.changed[hold.pk] = hold
        listed = {lot.pk: lot for lot in lots}
        known = {**self._post.used_lots, **listed}
        returned = []
        parts = [part for part in parts if part.amount]
        left = sum(part.amount for part in parts)
        for part in parts:
            lot = known.get(part.lot_id, part.lot)
            self._post.change(lot, part.amount)
            if lot.expires_at is not None and lot.expires_at <= self._post.now:
                self._post.expire(lot, part.amount, hold=hold)
            else:
                returned.append(lot)
                if lot.pk not in listed:
                    insort(lots, lot, key=lambda lot: lot.spending_key)
            part.amount = 0
            self.parts[part.pk] = part
        self.total -= left
        self._post.settle_debts(returned)
        if left:
            self._tell("hold_released", hold, left, reason=reason)

    def announce(self) -> None:
        """Announce the posting's rows and what became of its holds, in the order in which they came."""
        happened: list[Transaction | Happening] = []
        told = 0
        for rows, happening in self._events:
            happened += [*self._post.rows[told:rows], happening]
            told = rows
        happened += self._post.rows[told:]
        announce_posting(self._post.wallet, happened, self._post.last_award_before)

    def _pay(self, row: Transaction, parts: Sequence[HeldLot], amount: int) -> None:
        self.total -= amount
        for part in parts:
            paid = min(amount, part.amount)
            if paid:
                part.amount -= paid
                amount -= paid
                self.parts[part.pk] = part
                self._post.allocate(row, part.lot, paid)

    def _tell(self, event: str, hold: Hold, amount: int, **fields: Any) -> None:
        facts = {
            "hold": hold,
            "amount": amount,
            "category": hold.category,
            "operation": hold.operation,
            "metadata": hold.metadata,
            **fields,
        }
        self._events.append((len(self._post.rows), Happening(event, facts)))


def changes_of(posts: Sequence[Holds]) -> list[Insert | Update]:
    """Return what the holds of postings store, but for what keeps nothing any more; see `forget_emptied`."""
    parts = [part for holds in posts for part in holds.parts.values() if part.amount]
    return [
        Insert([part for holds in posts for part in holds.new_parts]),
        Update(parts, ("amount",)),
        Update(
            [hold for holds in posts for hold in holds.changed.values()],
            ("captured", "is_open", "expires_at"),
        ),
    ]


def forget_emptied(posts: Sequence[Holds], using: str) -> None:
    """Delete what no hold keeps any more."""
    emptied = [part.pk for holds in posts for part in holds.parts.values() if not part.amount]
    for start in range(0, len(emptied), MAX_PARAMETERS):
        HeldLot.objects.using(using).filter(pk__in=emptied[start : start + MAX_PARAMETERS]).delete()

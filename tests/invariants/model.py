"""The ledger in plain Python: what each verb must leave behind, worked out as simply as can be.

Nothing here is the product's: no module of it is imported, nothing is stored, nothing is projected. All sums are
added up when they are asked for. What is refused raises and changes nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
NEVER = datetime.datetime.max.replace(tzinfo=datetime.UTC)


class TooLittle(Exception):
    """There is less than is asked for; `args` are what is available and what is required."""


class NotOpen(Exception):
    """The hold was captured or released before, or its time is over."""


@dataclass
class Clock:
    now: datetime.datetime = START


@dataclass(eq=False)
class Lot:
    """A credit: what is `left` of it apart from what holds keep, what is `gone` because it expired."""

    amount: int
    ends: datetime.datetime
    left: int
    gone: int = 0
    is_reversed: bool = False
    sale: Sale | None = None


@dataclass(eq=False)
class Debit:
    amount: int
    paid: list[tuple[Lot, int]] = field(default_factory=list)
    is_reversed: bool = False

    @property
    def owed(self) -> int:
        return self.amount - sum(amount for _lot, amount in self.paid)


@dataclass(eq=False)
class Hold:
    """Open as long as it keeps something."""

    amount: int
    ends: datetime.datetime
    kept: list[tuple[Lot, int]]
    captured: int = 0

    @property
    def left(self) -> int:
        return sum(amount for _lot, amount in self.kept)


@dataclass(eq=False)
class Sale:
    """A bought pack: what it awarded, less what was reversed of that, and what refunds took of it so far."""

    awarded: int
    taken: int = 0
    refunds: list[Debit] = field(default_factory=list)


@dataclass(eq=False)
class Transfer:
    sender: Ledger
    receiver: Ledger
    sent: Debit
    arrived: list[Lot]

    def reverse(self) -> list[int] | None:
        """Undo both sides; return the amounts that were posted, None where that was done before."""
        if self.sent.is_reversed:
            return None
        return self.receiver.take_back(self.arrived) + self.sender.give_back(self.sent)


@dataclass(eq=False)
class Ledger:
    """One wallet. Lots, holds and debits stand in the order in which they came."""

    clock: Clock
    lots: list[Lot] = field(default_factory=list)
    holds: list[Hold] = field(default_factory=list)
    debits: list[Debit] = field(default_factory=list)
    claims: dict[Lot | Sale, int] = field(default_factory=dict)

    @property
    def booked(self) -> int:
        """The balance as it stands in the ledger, with what expired since the last write."""
        return sum(lot.left for lot in self.lots) + self.held - self.debt

    @property
    def held(self) -> int:
        return sum(hold.left for hold in self.holds)

    @property
    def debt(self) -> int:
        return sum(debit.owed for debit in self.debits)

    @property
    def claimed(self) -> int:
        return sum(self.claims.values())

    def balance(self, moment: datetime.datetime | None = None) -> int:
        stock = sum(lot.left for lot in self.lots if lot.ends > (moment or self.clock.now))
        return stock + self.held - self.debt

    @property
    def available(self) -> int:
        return max(self.balance() - self.held, 0)

    @property
    def payable(self) -> int:
        """What a write may take, which first releases the holds whose time is over."""
        overdue = [hold for hold in self.holds if hold.ends <= self.clock.now]
        coming = sum(amount for hold in overdue for lot, amount in hold.kept if not self.is_over(lot))
        return max(self.balance() - self.held + coming, 0)

    def is_over(self, lot: Lot) -> bool:
        return lot.ends <= self.clock.now

    def catch_up(self) -> None:
        """Do what every write does first: lots that are over are gone, holds that are over are released."""
        for lot in self.lots:
            if self.is_over(lot):
                lot.gone, lot.left = lot.gone + lot.left, 0
        for hold in self.holds:
            if hold.ends <= self.clock.now:
                self._release(hold)

    def credit(self, amount: int, ends: datetime.datetime = NEVER) -> Lot:
        """Add a lot, which pays debts first, then claims."""
        self.catch_up()
        lot = Lot(amount, ends, amount)
        self.lots.append(lot)
        self._settle(lot)
        for claim, claimed in self.claims.items():
            paid = min(claimed, lot.left)
            lot.left -= paid
            self.claims[claim] -= paid
            if isinstance(claim, Sale):
                claim.taken += paid
        return lot

    def debit(self, amount: int, *, negatives: bool = False, first: Lot | None = None) -> Debit:
        if amount > self.payable and not negatives:
            raise TooLittle(self.payable, amount)
        self.catch_up()
        debit = Debit(amount, list(self._take(amount, first)))
        self.debits.append(debit)
        return debit

    def hold(self, amount: int, ends: datetime.datetime) -> Hold:
        if amount > self.payable:
            raise TooLittle(self.payable, amount)
        self.catch_up()
        hold = Hold(amount, ends, list(self._take(amount)))
        self.holds.append(hold)
        return hold

    def check_open(self, hold: Hold) -> None:
        if not hold.left or hold.ends <= self.clock.now:
            raise NotOpen

    def extend(self, hold: Hold, ends: datetime.datetime) -> None:
        self.check_open(hold)
        hold.ends = max(hold.ends, ends)

    def capture(self, hold: Hold, amount: int | None, *, final: bool) -> Debit:
        self.check_open(hold)
        kept = hold.left
        amount = kept if amount is None else amount
        more = max(amount - kept, 0)
        if more > self.payable:
            raise TooLittle(kept + self.payable, amount)
        self.catch_up()
        debit = Debit(amount)
        rest, left = amount - more, []
        for lot, part in hold.kept:
            paid = min(part, rest)
            rest -= paid
            debit.paid += [(lot, paid)] if paid else []
            left += [(lot, part - paid)] if part > paid else []
        debit.paid += self._take(more)
        self.debits.append(debit)
        hold.kept = left
        hold.captured += amount
        if final:
            self._release(hold)
        return debit

    def release(self, hold: Hold) -> None:
        if not hold.left:
            raise NotOpen
        self.catch_up()
        self._release(hold)

    def transfer(self, other: Ledger, amount: int, ends: datetime.datetime | None) -> Transfer:
        """Send `amount`; what arrives expires at `ends`, None: as each lot that paid it."""
        sent = self.debit(amount)
        parts = _by_end(sent) if ends is None else {ends: amount}
        return Transfer(self, other, sent, [other.credit(part, end) for end, part in parts.items()])

    def give_back(self, debit: Debit) -> list[int]:
        """Reverse a debit: what is owed of it comes as a credit that never expires, the rest as it was."""
        self.catch_up()
        debit.is_reversed = True
        owed = debit.owed
        parts = [(NEVER, owed)] * bool(owed) + list(_by_end(debit).items())
        for ends, part in parts:
            if ends > self.clock.now:
                self.credit(part, ends)
        return [part for _ends, part in parts]

    def take_back(self, credits: Sequence[Lot]) -> list[int]:
        """Reverse credits: what is left of their lots is taken, what was spent or is held is claimed."""
        self.catch_up()
        rows = []
        for lot in credits:
            limit = lot.amount - lot.gone
            if lot.sale:
                refunded = sum(
                    amount for debit in lot.sale.refunds for one, amount in debit.paid if one is lot
                )
                kept = lot.sale.awarded - lot.sale.taken - self.claims.get(lot.sale, 0)
                limit = min(limit - refunded, max(kept, 0))
                lot.sale.awarded -= limit
            taken = min(lot.left, limit, self.payable)
            lot.is_reversed = limit > 0
            if taken:
                self.debit(taken, first=lot)
                rows.append(-taken)
            if limit > taken:
                self.claims[lot] = limit - taken
        return rows

    def refund(self, lot: Lot, percent: int, *, negatives: bool) -> None:
        """Bring what was taken of a sale to its share, rounded up: take, claim, or give back."""
        sale = lot.sale
        assert sale
        due = -(-sale.awarded * percent // 100) - sale.taken
        takes = max(due if negatives else min(due, self.payable), 0)
        if sale in self.claims or due > takes:
            self.claims[sale] = max(due - takes, 0)
        sale.taken += min(due, takes)
        if due:
            self.catch_up()
        if takes:
            sale.refunds.append(self.debit(takes, negatives=negatives, first=lot))
        if due < 0:
            self.credit(-due)

    def _take(self, amount: int, first: Lot | None = None) -> Iterator[tuple[Lot, int]]:
        for lot in sorted(self.lots, key=lambda lot: (lot is not first, lot.ends)):
            taken = min(lot.left, amount)
            if taken:
                amount -= taken
                lot.left -= taken
                yield lot, taken

    def _release(self, hold: Hold) -> None:
        parts, hold.kept = hold.kept, []
        for lot, amount in parts:
            if self.is_over(lot):
                lot.gone += amount
            else:
                lot.left += amount
        for lot, _amount in parts:
            self._settle(lot)

    def _settle(self, lot: Lot) -> None:
        for debit in self.debits:
            paid = min(debit.owed, lot.left)
            if paid:
                debit.paid.append((lot, paid))
                lot.left -= paid


def _by_end(debit: Debit) -> dict[datetime.datetime, int]:
    parts: dict[datetime.datetime, int] = {}
    for lot, amount in debit.paid:
        parts[lot.ends] = parts.get(lot.ends, 0) + amount
    return parts

"""The posting: everything that one write does to a wallet, worked out in memory under the wallet's lock.

Its verbs append rows, lots and allocations; `usage_credits.ledger.journal` makes postings and writes them.
"""

from __future__ import annotations

import datetime
from bisect import insort
from collections.abc import Collection, Iterable, Iterator
from functools import cached_property
from typing import Any

from usage_credits.dsl.categories import AWARDS, EXPIRATION
from usage_credits.exceptions import InsufficientCredits, InvalidAmount, InvalidValue
from usage_credits.ledger.capped import Caps
from usage_credits.ledger.claims import Claims
from usage_credits.ledger.debts import Debts
from usage_credits.ledger.entries import CreditEntry, DebitEntry, Use
from usage_credits.ledger.held import Holds
from usage_credits.ledger.instances import new
from usage_credits.models import Allocation, HeldLot, Hold, KeyAlias, Lot, Transaction, Wallet
from usage_credits.values import MAX_AMOUNT


class Posting:
    """One wallet's rows in the making. Every row carries the same `now`, taken after the lock."""

    def __init__(
        self, wallet: Wallet, now: datetime.datetime, open_lots: Iterable[Lot], overdue: Iterable[HeldLot]
    ) -> None:
        """Start from the locked wallet; its open lots, in spending order, and overdue holds are read when needed."""
        self.wallet = wallet
        self.now = now
        self.balance = wallet.booked_balance
        self.last_award = self.last_award_before = wallet.last_award
        self.debts = Debts(wallet)
        self.claims = Claims(wallet)
        self.holds = Holds(self, overdue)
        self.caps = Caps(self)
        self.rows: list[Transaction] = []
        self.new_lots: list[Lot] = []
        self.used_lots: dict[int, Lot] = {}
        self.allocations: list[Allocation] = []
        self.aliases: list[KeyAlias] = []
        self._open_lots = open_lots

    @cached_property
    def lots(self) -> list[Lot]:
        """The spendable lots in the order in which debits take them; what had expired is booked first (DEC-13)."""
        lots: list[Lot] = []
        for lot in self._open_lots:
            if lot.expires_at is not None and lot.expires_at <= self.now:
                self.expire(lot, lot.remaining)
            else:
                lots.append(lot)
        self.holds.end_overdue(lots)
        return lots

    def payers(self, operation: str | None, own: Collection[int] = ()) -> list[Lot]:
        """Return the lots that may pay for `operation`, in spending order; first those of the `own` credits."""
        stocked = [lot for lot in self.lots if lot.remaining]
        if not own:
            return [lot for lot in stocked if lot.scope is None or lot.pays_for(operation)]
        lots = [lot for lot in stocked if lot.transaction_id in own or lot.pays_for(operation)]
        return sorted(lots, key=lambda lot: lot.transaction_id not in own)

    def left_in(self, payers: Iterable[Lot]) -> int:
        """Return what a debit can take of `payers`, below zero where the wallet owes more than all its lots hold."""
        left = sum([lot.remaining for lot in payers])
        if not self.debts.total:
            return left
        return min(left, sum(lot.remaining for lot in self.lots) - self.debts.total)

    def available_in(self, payers: Iterable[Lot]) -> int:
        """Return what a debit can take of `payers` without a debt, and without uncovering one."""
        return max(self.left_in(payers), 0)

    def book_expired(self) -> None:
        """Append the rows for what has expired, where nothing else is posted."""
        _ = self.lots

    def credit(self, entry: CreditEntry) -> Transaction:
        """Append a credit and its lot, which first settles the wallet's debts, then its claims, oldest first.

        A lot with a scope stops at the first debt of another operation and pays no claims.
        Raises InvalidValue for an expiry that is not in the future, InvalidAmount where the balance would not fit.
        """
        if entry.expires_at is not None and entry.expires_at <= self.now:
            raise InvalidValue("expires_at", f"got {entry.expires_at.isoformat()}, it must be in the future.")
        lots = self.lots
        lot = self._stock_up(entry)
        self.settle_debts([lot])
        if self.claims.total and lot.scope is None:
            self._pay_claims(lot)
        insort(lots, lot, key=lambda lot: lot.spending_key)
        return lot.transaction

    def give_back(self, entry: CreditEntry) -> Transaction:
        """Append a credit of what had been taken; one whose expiry has passed expires at once and settles nothing."""
        if entry.expires_at is None or entry.expires_at > self.now:
            return self.credit(entry)
        self.book_expired()
        lot = self._stock_up(entry)
        self.expire(lot, lot.remaining)
        return lot.transaction

    def _stock_up(self, entry: CreditEntry) -> Lot:
        row = self._row(
            entry.amount,
            category=entry.category,
            metadata=entry.metadata,
            expires_at=entry.expires_at,
            idempotency_key=entry.idempotency_key,
            cash_amount=entry.cash_amount,
            cash_currency=entry.cash_currency,
            fulfillment=entry.fulfillment,
            grid_date=entry.grid_date,
            transfer=entry.transfer,
            reverses=entry.reverses,
            **_columns_of(entry.use),
        )
        if entry.category in AWARDS:
            self.last_award = entry.amount
        lot = new(
            Lot,
            wallet=self.wallet,
            transaction=row,
            amount=entry.amount,
            remaining=entry.amount,
            expires_at=entry.expires_at,
            priority=entry.priority,
            scope=entry.scope,
        )
        self.new_lots.append(lot)
        return lot

    def debit(self, entry: DebitEntry, *, allow_negative: bool) -> Transaction:
        """Append a debit and what each lot pays of it; the rest, where negatives are allowed, becomes debt.

        Raises CapExceeded where the entry's key may not spend as much, and InsufficientCredits, with what is available
        for its operation now, where it cannot be paid; neither for what is due.
        """
        payers = self.payers(entry.operation, entry.pays_first)
        available = self.available_in(payers)
        # Before what can be paid: whoever bought more would be refused all the same.
        if not entry.is_due:
            self.caps.check(entry.attributed_to, entry.amount)
        if entry.amount > available and not (allow_negative or entry.is_due):
            raise InsufficientCredits(available, entry.amount)
        overdraft = 0
        if entry.amount > available:
            overdraft = max(entry.amount - sum(lot.remaining for lot in payers), 0)
        row = self.add_debit(entry, overdraft=overdraft)
        self.take(row, payers, entry.amount - overdraft)
        self.debts.add(row, overdraft)
        return row

    def add_debit(self, entry: DebitEntry, *, overdraft: int = 0, hold: Hold | None = None) -> Transaction:
        """Append the row of a debit, to be paid by what the caller allocates, and count it under its key's caps."""
        row = self._row(
            -entry.amount,
            category=entry.category,
            metadata=entry.metadata,
            idempotency_key=entry.idempotency_key,
            attributed_to=entry.attributed_to,
            operation=entry.operation,
            fulfillment=entry.fulfillment,
            transfer=entry.transfer,
            reverses=entry.reverses,
            overdraft=overdraft,
            hold=hold,
            **_columns_of(entry.use),
        )
        self.caps.count(row)
        return row

    def take(self, debit: Transaction, payers: Iterable[Lot], amount: int) -> None:
        """Let `payers` pay `amount` of a debit, each what it has left, in the order given."""
        for lot, paid in self.draw(payers, amount):
            self.allocate(debit, lot, paid)

    def draw(self, lots: Iterable[Lot], amount: int) -> Iterator[tuple[Lot, int]]:
        """Draw `amount` from `lots`, each what it has left, in the order given; yield what each of them gave."""
        for lot in lots:
            if not amount:
                return
            drawn = min(amount, lot.remaining)
            if drawn:
                self.change(lot, -drawn)
                amount -= drawn
                yield lot, drawn

    def alias(self, row: Transaction, key: str) -> None:
        """Append `key` as another key under which `row` is found."""
        self.aliases.append(KeyAlias(wallet=self.wallet, key=key, transaction=row))

    def _pay_claims(self, lot: Lot) -> None:
        for claim in self.claims.open:
            paid = min(claim.open_amount, lot.remaining)
            if paid:
                self.take(self._row(-paid, **self.claims.pay(claim, paid, self.now)), [lot], paid)

    def settle_debts(self, lots: Iterable[Lot]) -> None:
        """Let what is left of `lots` settle the wallet's debts, oldest first, each lot what it may pay for."""
        for lot in lots if self.debts.total else ():
            for debit, paid in self.debts.settle(lot):
                self.take(debit, [lot], paid)

    def expire(self, lot: Lot, amount: int, *, hold: Hold | None = None) -> None:
        """Append the row that books the end of `amount` of a lot; `hold` is what had kept it."""
        self.take(self._row(-amount, category=EXPIRATION, hold=hold), [lot], amount)

    def allocate(self, debit: Transaction, lot: Lot, amount: int) -> None:
        """Append that `lot` pays `amount` of a debit; what remains of it stays, as for what a hold had kept."""
        self.allocations.append(new(Allocation, wallet=self.wallet, debit=debit, lot=lot, amount=amount))

    def change(self, lot: Lot, amount: int) -> None:
        """Add the signed `amount` to what remains of `lot`."""
        lot.remaining += amount
        lot.is_open = lot.remaining > 0
        if lot.pk is not None:
            self.used_lots[lot.pk] = lot

    def project(self) -> list[str]:
        """Bring the wallet's projections up to date and return the names of those that changed."""
        totals = {
            "booked_balance": self.balance,
            "booked_held": self.holds.total,
            "debt": self.debts.total,
            "claims": self.claims.total,
            "last_award": self.last_award,
        }
        changed = [name for name, total in totals.items() if total != getattr(self.wallet, name)]
        vars(self.wallet).update(totals)
        return changed

    def _row(self, amount: int, **columns: Any) -> Transaction:
        after = self.balance + amount
        if not -MAX_AMOUNT <= after <= MAX_AMOUNT:
            raise InvalidAmount("amount", f"the balance would become {after}, allowed is up to 2**63 - 1.")
        row = new(
            Transaction,
            wallet=self.wallet,
            amount=amount,
            balance_before=self.balance,
            balance_after=after,
            created_at=self.now,
            **columns,
        )
        self.balance = after
        self.rows.append(row)
        return row


def _columns_of(use: Use | None) -> dict[str, Any]:
    return {} if use is None else vars(use)

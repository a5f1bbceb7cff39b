"""Debts: what debits took beyond the lots, settled by the wallet's next credits, oldest first."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from usage_credits.models import Lot, Transaction, Wallet


class Debts:
    """The open debts of a wallet in a posting; the stored ones are read when first needed."""

    def __init__(self, wallet: Wallet) -> None:
        """Start from the locked wallet; `total` is the sum of what is open."""
        self.total: int = wallet.debt
        self._wallet = wallet
        self._new: list[tuple[Transaction, int]] = []

    def add(self, debit: Transaction, amount: int) -> None:
        """Count what no lot paid of a debit of this posting."""
        if amount:
            self.total += amount
            self._new.append((debit, amount))

    def settle(self, lot: Lot) -> Iterator[tuple[Transaction, int]]:
        """Lower the open debts by what `lot` has left, yielding (debit, settled), oldest first.

        Stops at the first debt that the lot may not pay for: were a later one settled before it, which debts are open
        could no longer be told from their sum.
        """
        amount = lot.remaining
        while amount and (debts := self._stored or self._new):
            debit, owed = debts[0]
            if not lot.pays_for(debit.operation):
                return
            paid = min(owed, amount)
            debts[:1] = [(debit, owed - paid)] if paid < owed else []
            self.total -= paid
            amount -= paid
            yield debit, paid

    @cached_property
    def _stored(self) -> list[tuple[Transaction, int]]:
        """The stored debits that are still owed.

        Debts are settled oldest first, so the open ones are the latest overdrafts that add up to the wallet's debt.
        """
        debts: list[tuple[Transaction, int]] = []
        left: int = self._wallet.debt
        if not left:
            return debts
        rows = self._wallet.transactions.using(self._wallet._state.db)
        overdrafts = rows.filter(overdraft__gt=0).newest_first()
        columns = overdrafts.values_list("pk", "operation", "overdraft")
        for debit_id, operation, overdraft in columns.iterator(chunk_size=200):
            debts.append((Transaction(pk=debit_id, operation=operation), min(overdraft, left)))
            left -= debts[-1][1]
            if not left:
                break
        return debts[::-1]

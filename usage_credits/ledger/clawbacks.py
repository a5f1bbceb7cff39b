"""Clawbacks: take back what a refunded payment had awarded, and give it back when the refund is undone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from usage_credits import conf
from usage_credits.ledger.claims import Taken, taken_of
from usage_credits.ledger.posting import CreditEntry, DebitEntry, Posting
from usage_credits.models import Fulfillment, Lot, Transaction


@dataclass
class Clawback:
    """What one payment awarded and what was taken of it, as both are under the wallet's lock."""

    post: Posting
    fulfillment: Fulfillment
    payment: str
    lots: Sequence[Lot]
    """The lots of its awards, in spending order."""
    taken: Taken

    @classmethod
    def find(
        cls, post: Posting, fulfillment: Fulfillment, payment: str, awards: QuerySet[Transaction]
    ) -> Clawback:
        """Read the payment's awards and the rows that took of them; two statements."""
        using = post.wallet._state.db or "default"
        lots = Lot.objects.using(using).filter(wallet=post.wallet, transaction__in=awards.using(using))
        taken = taken_of([fulfillment.pk], using)[fulfillment.pk, payment]
        return cls(post, fulfillment, payment, list(lots.in_spending_order()), taken)

    @property
    def granted(self) -> int:
        """The credits that the payment awarded."""
        return sum(lot.amount for lot in self.lots)

    def move_to(self, target: int, facts: dict[str, Any]) -> int:
        """Append what brings the credits taken to `target`, and return what of it stays claimed.

        Takes from the payment's own lots first, then by the usual order. What is not there becomes a claim, or a debt
        where negatives are allowed. Taken too much, it is given back with the expiry that the award had; nothing of
        what would have expired by now.
        """
        due = target - self.taken.amount
        allow_negative = conf.current().allow_negative_balance
        takes = max(due if allow_negative else min(due, self.post.available), 0)
        claimed = max(due - takes, 0)
        # Before anything is given back, which would pay it.
        self.post.claims.leave(self.fulfillment, self.payment, claimed, facts)
        if takes:
            entry = DebitEntry(
                takes,
                pays_first=frozenset(lot.transaction_id for lot in self.lots),
                **self.taken.next(self.fulfillment, self.payment, takes, self.post.now, facts),
            )
            self.post.debit(entry, allow_negative=allow_negative)
        if due < 0:
            self._give_back(target, facts)
        return claimed

    def _give_back(self, target: int, facts: dict[str, Any]) -> None:
        """Give back what a refund of `target` would have left: the part of the awards that expires last."""
        taken, upto = self.taken.amount, 0
        for lot in self.lots:
            start, upto = upto, upto + lot.amount
            amount = min(upto, taken) - max(start, target)
            if amount > 0 and (lot.expires_at is None or lot.expires_at > self.post.now):
                columns = self.taken.next(self.fulfillment, self.payment, -amount, self.post.now, facts)
                self.post.credit(CreditEntry(amount, expires_at=lot.expires_at, **columns))

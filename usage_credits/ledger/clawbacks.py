"""Clawbacks: take back what a refunded payment had awarded, and give it back when the refund is undone."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import router
from django.db.models import BigIntegerField, F, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from usage_credits import conf
from usage_credits.dsl.categories import REVERSAL
from usage_credits.ledger.claims import Taken, taken_of
from usage_credits.ledger.entries import CreditEntry, DebitEntry
from usage_credits.ledger.posting import Posting
from usage_credits.models import Allocation, Fulfillment, Lot, Transaction, Wallet


@dataclass(frozen=True)
class Granted:
    """What a transaction awarded, less what was reversed of it, and how its lot is spent."""

    transaction_id: int
    amount: int
    expires_at: datetime.datetime | None
    priority: int
    scope: tuple[str, ...] | None


@dataclass
class Clawback:
    """What one payment awarded and what was taken of it, as both are under the wallet's lock."""

    post: Posting
    fulfillment: Fulfillment
    payment: str
    awards: Sequence[Granted]
    """In the order in which their lots are spent."""
    taken: Taken

    @classmethod
    def find(
        cls, post: Posting, fulfillment: Fulfillment, payment: str, awards: QuerySet[Transaction]
    ) -> Clawback:
        """Read the payment's awards and the rows that took of them; two statements."""
        using = post.wallet._state.db or router.db_for_write(Wallet)
        reversals = Allocation.objects.filter(
            Q(debit__reverses=None) | Q(debit__reverses=F("lot__transaction")),
            lot=OuterRef("pk"),
            debit__category=REVERSAL,
        )
        reversed_amount = reversals.order_by().values("lot").annotate(total=Sum("amount")).values("total")
        lots = Lot.objects.using(using).filter(wallet=post.wallet, transaction__in=awards.using(using))
        granted = lots.in_spending_order().values_list(
            "transaction",
            F("amount")
            - Coalesce(Subquery(reversed_amount, output_field=BigIntegerField()), 0)
            - Coalesce(F("transaction__claim__amount"), 0),
            "expires_at",
            "priority",
            "scope",
        )
        taken = taken_of([fulfillment.pk], using)[fulfillment.pk, payment]
        return cls(post, fulfillment, payment, [Granted(*row) for row in granted], taken)

    @property
    def granted(self) -> int:
        """The credits that the payment awarded."""
        return sum(award.amount for award in self.awards)

    def move_to(self, target: int, facts: dict[str, Any]) -> int:
        """Append what brings the credits taken to `target`, and return what of it stays claimed.

        Takes from the payment's own lots first, then by the usual order from those without a scope. What is not there
        becomes a claim, or a debt where negatives are allowed. Taken too much, it is given back as the award was, with
        its expiry, priority and scope; nothing of what would have expired by now.
        """
        due = target - self.taken.amount
        allow_negative = conf.current().allow_negative_balance
        own = frozenset(award.transaction_id for award in self.awards)
        takes = 0
        if due > 0:
            takes = due if allow_negative else min(due, self.post.available_in(self.post.payers(None, own)))
        claimed = max(due, 0) - takes
        # Before anything is given back, which would pay it.
        self.post.claims.leave(self.fulfillment, self.payment, claimed, facts)
        if takes:
            entry = DebitEntry(
                takes,
                pays_first=own,
                **self.taken.next(self.fulfillment, self.payment, takes, self.post.now, facts),
            )
            self.post.debit(entry, allow_negative=allow_negative)
        if due < 0:
            self._give_back(target, facts)
        return claimed

    def _give_back(self, target: int, facts: dict[str, Any]) -> None:
        """Give back what a refund of `target` would have left: the part of the awards that expires last."""
        taken, upto = self.taken.amount, 0
        for award in self.awards:
            start, upto = upto, upto + award.amount
            amount = min(upto, taken) - max(start, target)
            if amount > 0 and (award.expires_at is None or award.expires_at > self.post.now):
                columns = self.taken.next(self.fulfillment, self.payment, -amount, self.post.now, facts)
                entry = CreditEntry(
                    amount,
                    expires_at=award.expires_at,
                    priority=award.priority,
                    scope=award.scope,
                    **columns,
                )
                self.post.credit(entry)

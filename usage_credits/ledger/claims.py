"""Claims: what refunds and reversals could not take back, paid by the wallet's next credits, oldest first.

Every row that takes credits back, or gives them back, carries the key `<payment>:clawback:<n>`; the payment is its
provider's key ("pi:…" for packs, "in:…" for invoices). What a payment has taken so far is read off these rows.
A reversal's rows carry no key: they link to the credit that they reverse, which is reversed once.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypedDict, cast

from django.db import router

from usage_credits.dsl.categories import CREDIT_PACK_REFUND, REFUNDS, REVERSAL, SUBSCRIPTION_REFUND
from usage_credits.models import Debt, Fulfillment, FulfillmentKind, Transaction, Wallet

_MARK = ":clawback:"


class Columns(TypedDict):
    category: str
    idempotency_key: str
    fulfillment: Fulfillment
    metadata: dict[str, Any]


class ReversalColumns(TypedDict):
    category: str
    reverses: Transaction
    metadata: dict[str, Any]


@dataclass
class Taken:
    """What a payment's rows took so far: credits, less those given back, and how many rows."""

    amount: int = 0
    rows: int = 0

    def next(
        self,
        fulfillment: Fulfillment,
        payment: str,
        amount: int,
        now: datetime.datetime,
        facts: dict[str, Any],
    ) -> Columns:
        """Count a next row that takes `amount` (negative: gives back) and return its columns."""
        self.amount += amount
        self.rows += 1
        is_pack = fulfillment.kind == FulfillmentKind.PACK
        is_refund = facts.get("refunded", True)
        return {
            "category": CREDIT_PACK_REFUND if is_pack else SUBSCRIPTION_REFUND,
            "idempotency_key": f"{payment}{_MARK}{self.rows}",
            "fulfillment": fulfillment,
            "metadata": {
                **facts,
                "payment": payment,
                **({"refunded": True, "refunded_at": now.isoformat()} if is_refund else {}),
                "incremental_credits": amount,
                "cumulative_credits": self.amount,
            },
        }


def taken_of(fulfillments: Collection[int], using: str) -> defaultdict[tuple[int, str], Taken]:
    """Return what was taken by (fulfillment, payment); one statement.

    A refund's row with another key, as somebody posts it by hand, counts for the payment that was fulfilled.
    """
    rows = Transaction.objects.using(using).filter(fulfillment__in=fulfillments, category__in=REFUNDS)
    taken: defaultdict[tuple[int, str], Taken] = defaultdict(Taken)
    for pk, source_id, key, amount in rows.values_list(
        "fulfillment", "fulfillment__source_id", "idempotency_key", "amount"
    ):
        payment, mark, _number = (key or "").rpartition(_MARK)
        of_payment = taken[pk, payment if mark else source_id or ""]
        of_payment.amount -= amount
        of_payment.rows += 1
    return taken


class Claims:
    """The claims of a wallet in a posting; the open ones are read when first needed."""

    def __init__(self, wallet: Wallet) -> None:
        """Start from the locked wallet; `total` is the sum of what is open."""
        self.total = wallet.claims
        self.new: list[Debt] = []
        self.changed: dict[int, Debt] = {}
        self._wallet = wallet
        self._using = wallet._state.db or router.db_for_write(Wallet)

    @property
    def has_changes(self) -> bool:
        """Tell whether there is anything to store."""
        return bool(self.new or self.changed)

    @cached_property
    def open(self) -> list[Debt]:
        """The open claims, oldest first."""
        claims = Debt.objects.using(self._using).filter(wallet=self._wallet, open_amount__gt=0)
        return list(claims.select_related("fulfillment", "reverses").order_by("pk")) if self.total else []

    @cached_property
    def _taken(self) -> defaultdict[tuple[int, str], Taken]:
        return taken_of({claim.fulfillment_id for claim in self.open if claim.fulfillment_id}, self._using)

    def pay(self, claim: Debt, amount: int, now: datetime.datetime) -> Columns | ReversalColumns:
        """Lower an open claim by what a credit pays of it, and return the columns of the row that does so."""
        self._set(claim, claim.open_amount - amount)
        if claim.reverses is not None:
            return {"category": REVERSAL, "reverses": claim.reverses, "metadata": claim.metadata}
        sold, payment = cast(Fulfillment, claim.fulfillment), cast(str, claim.payment)
        return self._taken[sold.pk, payment].next(sold, payment, amount, now, claim.metadata)

    def leave(self, fulfillment: Fulfillment, payment: str, amount: int, facts: dict[str, Any]) -> None:
        """Let a payment's claim be `amount` from now on; 0 closes it. The rows that pay it will carry `facts`."""
        claim = self._find(fulfillment, payment)
        if claim is None:
            if amount:
                self.total += amount
                claim = Debt(wallet=self._wallet, fulfillment=fulfillment, payment=payment, metadata=facts)
                claim.amount = claim.open_amount = amount
                self.new.append(claim)
        elif amount != claim.open_amount:
            claim.amount += max(amount - claim.open_amount, 0)
            claim.metadata = facts
            self._set(claim, amount)

    def leave_for(self, credit: Transaction, amount: int, facts: dict[str, Any]) -> None:
        """Claim `amount` of a credit that is being reversed. The rows that pay it will carry `facts`."""
        self.total += amount
        claim = Debt(wallet=self._wallet, reverses=credit, metadata=facts)
        claim.amount = claim.open_amount = amount
        self.new.append(claim)

    def _find(self, fulfillment: Fulfillment, payment: str) -> Debt | None:
        for claim in self.open:
            if (claim.fulfillment_id, claim.payment) == (fulfillment.pk, payment):
                return claim
        return Debt.objects.using(self._using).filter(fulfillment=fulfillment, payment=payment).first()

    def _set(self, claim: Debt, amount: int) -> None:
        self.total += amount - claim.open_amount
        claim.open_amount = amount
        self.changed[claim.pk] = claim

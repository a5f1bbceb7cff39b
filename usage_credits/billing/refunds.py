"""Take back what a refunded or disputed payment awarded, and give it back when the money stays after all."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from usage_credits.billing.reports import ask_again, revision_of, take_in
from usage_credits.dsl.categories import CREDIT_PACK_PURCHASE
from usage_credits.ledger.clawbacks import Clawback
from usage_credits.ledger.journal import posting
from usage_credits.models import Fulfillment, Transaction

logger = logging.getLogger("usage_credits")


@dataclass(frozen=True, kw_only=True)
class Returned:
    """How much of a payment went back to who paid it, as its provider reports it now; in the currency's minor unit."""

    amount: int
    """What was paid."""
    refunded: int = 0
    disputed: int = 0
    charge_id: str = ""

    @property
    def total(self) -> int:
        """What went back, never more than was paid."""
        return min(self.amount, self.refunded + self.disputed)

    @property
    def is_whole(self) -> bool:
        return self.total == self.amount > 0

    def share_of(self, credits: int) -> int:
        """Return what of `credits` the refund takes back: its share of the payment, rounded up."""
        return -(-credits * self.total // self.amount)

    @property
    def facts(self) -> dict[str, Any]:
        return {
            "charge_id": self.charge_id,
            "charged_cents": self.amount,
            "refunded_cents": self.refunded,
            "disputed_cents": self.disputed,
            "ratio": f"{self.total}/{self.amount}",
        }


Look = Callable[[], Returned]


def settle(fulfillment: Fulfillment, payment: str, awards: QuerySet[Transaction], look: Look) -> None:
    """Ask by `look` what went back of a payment, and take back what that calls for; see `take_back`.

    Asks before the wallet is locked, and again where another report was taken in meanwhile.
    """

    def ask_and_take_back() -> None:
        revision = revision_of(fulfillment)
        take_back(fulfillment, payment, awards, look(), revision=revision)

    ask_again(ask_and_take_back)


def take_back(
    fulfillment: Fulfillment,
    payment: str,
    awards: QuerySet[Transaction],
    returned: Returned,
    *,
    revision: int,
) -> None:
    """Bring what was taken back of a payment's awards to what its refunds and disputes call for by now.

    `payment` is the provider's key of the payment ("pi:…", "in:…"), `awards` the transactions by which `fulfillment`
    awarded it. Takes from their own lots first, then by the usual order of the wallet; what is not there is claimed
    from its next credits, or becomes a debt with ALLOW_NEGATIVE_BALANCE. Where less went back than was taken, the
    difference is given back. Every row is of the fulfillment's refund category and announced as `credits_refunded`.

    Called again, it posts nothing more. Locks the wallet; commits by itself, or with the caller's transaction. Raises
    OutdatedReport, with nothing written, where the fulfillment's revision was `revision` when `returned` was asked for
    and is no more.
    """
    if returned.refunded > returned.amount:
        logger.error(
            "The payment %s of %d shows %d refunded: no credits are taken back",
            payment,
            returned.amount,
            returned.refunded,
        )
    if not returned.amount or returned.refunded > returned.amount:
        return
    # A savepoint: the caller's transaction stays usable after an outdated report.
    with (
        transaction.atomic(using=fulfillment._state.db),
        posting(fulfillment.wallet, takes=True) as post,
    ):
        take_in(fulfillment, revision)
        clawback = Clawback.find(post, fulfillment, payment, awards)
        facts = {**fulfillment.as_sold, **returned.facts}
        claimed = clawback.move_to(returned.share_of(clawback.granted), facts)
    if claimed:
        logger.warning(
            "Of the refunded payment %s %d credits were spent already; they are claimed from the next ones",
            payment,
            claimed,
        )


def settle_pack(fulfillment: Fulfillment, look: Look) -> None:
    """Settle the refunds of a bought pack; see `settle`."""
    settle(fulfillment, *_awarded(fulfillment), look)


def take_back_pack(fulfillment: Fulfillment, returned: Returned, *, revision: int) -> None:
    """Take back what of a bought pack went back; see `take_back`."""
    take_back(fulfillment, *_awarded(fulfillment), returned, revision=revision)


def _awarded(fulfillment: Fulfillment) -> tuple[str, QuerySet[Transaction]]:
    """Return the payment of a bought pack and what it awarded."""
    awards = Transaction.objects.filter(fulfillment=fulfillment, category=CREDIT_PACK_PURCHASE)
    return fulfillment.source_id or "", awards

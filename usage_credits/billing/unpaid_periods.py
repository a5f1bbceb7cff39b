"""Take back what a period awarded that counted as paid and was not, and give it back when it is paid after all."""

from __future__ import annotations

import logging
from collections.abc import Iterator

from django.db.models import QuerySet

from usage_credits.billing.subscription_records import INVOICE
from usage_credits.billing.subscription_reports import Subscription
from usage_credits.dsl.categories import SUBSCRIPTION_CREDITS, SUBSCRIPTION_REFUND, SUBSCRIPTION_SIGNUP_BONUS
from usage_credits.ledger.clawbacks import Clawback
from usage_credits.ledger.journal import posting
from usage_credits.models import Debt, Fulfillment, Transaction

logger = logging.getLogger("usage_credits")

UNPAID = "unpaid"
PAID = "paid"


def settle_payments(fulfillment: Fulfillment, subscription: Subscription) -> None:
    """Bring what was taken back for want of a payment to what a subscription's invoices call for by now.

    It is taken as of a refunded payment: from its own lots first, then by the usual order of the wallet; what is not
    there is claimed from the next credits. What refunds have taken is left to them. Called again, it posts nothing
    more. Call it before anything else of the report is awarded, in the transaction that does so.
    """
    counted = {
        term.invoice_id for term in (*subscription.terms, subscription.provisional) if term is not None
    }
    if subscription.unpaid:
        for invoice_id in sorted(subscription.unpaid.intersection(_awarded_for(fulfillment))):
            _move(fulfillment, invoice_id, UNPAID)
    for invoice_id in sorted(counted & _taken_back(fulfillment)):
        _move(fulfillment, invoice_id, PAID)


def _move(fulfillment: Fulfillment, invoice_id: str, reason: str) -> None:
    with posting(fulfillment.wallet, takes=True) as post:
        clawback = Clawback.find(post, fulfillment, f"in:{invoice_id}", _awards_of(fulfillment, invoice_id))
        facts = {**fulfillment.as_sold, "reason": reason, INVOICE: invoice_id, "refunded": False}
        claimed = clawback.move_to(clawback.granted if reason == UNPAID else 0, facts)
    if claimed:
        logger.warning(
            "Of the unpaid invoice %s %d credits were spent already; they are claimed from the next ones",
            invoice_id,
            claimed,
        )


def _awards(fulfillment: Fulfillment) -> QuerySet[Transaction]:
    """Return what periods awarded; changes within a period wait until it is paid."""
    using = fulfillment._state.db
    categories = (SUBSCRIPTION_CREDITS, SUBSCRIPTION_SIGNUP_BONUS)
    return Transaction.objects.using(using).filter(fulfillment=fulfillment, category__in=categories)


def _awards_of(fulfillment: Fulfillment, invoice_id: str) -> QuerySet[Transaction]:
    rows = _awards(fulfillment).values_list("pk", "metadata")
    return Transaction.objects.filter(pk__in=[pk for pk, facts in rows if facts.get(INVOICE) == invoice_id])


def _awarded_for(fulfillment: Fulfillment) -> Iterator[str]:
    """Yield the invoices by which periods counted as paid when they were awarded."""
    for facts in _awards(fulfillment).values_list("metadata", flat=True):
        if INVOICE in facts:
            yield facts[INVOICE]


def _taken_back(fulfillment: Fulfillment) -> set[str]:
    """Return the invoices of which the last that was heard is that they are not paid."""
    using = fulfillment._state.db
    rows = Transaction.objects.using(using).filter(fulfillment=fulfillment, category=SUBSCRIPTION_REFUND)
    claims = Debt.objects.using(using).filter(fulfillment=fulfillment, open_amount__gt=0)
    last = {facts.get("payment"): facts for facts in rows.oldest_first().values_list("metadata", flat=True)}
    heard = [*last.values(), *claims.values_list("metadata", flat=True)]
    return {facts[INVOICE] for facts in heard if facts.get("reason") == UNPAID}

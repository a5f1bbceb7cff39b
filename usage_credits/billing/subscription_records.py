"""What the fulfillment of a subscription is opened with and keeps of it, in its columns and its metadata."""

from __future__ import annotations

import datetime

from usage_credits.billing.cycles import as_sold
from usage_credits.billing.notices import SOURCE
from usage_credits.billing.stops import LEFT_FOR
from usage_credits.billing.subscription_reports import Change, Subscription, Term
from usage_credits.dsl.plans import SubscriptionPlan
from usage_credits.ledger.posting import Posting
from usage_credits.models import Fulfillment, FulfillmentKind

PRICE = "price_id"
"""The key of metadata that names the price of the current or pending plan."""
INVOICE = "invoice_id"
"""The key of metadata that names the invoice by which the latest period was paid."""
ENDED = "ended_at"
"""The key of metadata that says when the subscription ended, for good."""


def open_fulfillment(
    post: Posting, subscription: Subscription, plan: SubscriptionPlan, term: Term
) -> Fulfillment:
    """Store the fulfillment of a subscription that is seen for the first time, with the plan of `term`."""
    return Fulfillment.objects.using(post.wallet._state.db).create(
        wallet=post.wallet,
        kind=FulfillmentKind.SUBSCRIPTION,
        source=SOURCE,
        source_id=subscription.key,
        plan_name=plan.name,
        as_sold=as_sold(plan),
        seats=term.seats,
        period=plan.period.iso,
        metadata={
            "subscription_id": subscription.id,
            PRICE: term.price_id,
            **subscription.references,
        },
        created_at=post.now,
    )


def note_price(fulfillment: Fulfillment, price_id: str) -> None:
    """Keep the price that the subscription is on, one of a plan with credits."""
    fulfillment.metadata[PRICE] = price_id
    fulfillment.metadata.pop(LEFT_FOR, None)


def note_payment(fulfillment: Fulfillment, term: Term) -> None:
    """Keep the period that was paid last, and by which invoice."""
    fulfillment.paid_from, fulfillment.paid_through = term.starts_at, term.ends_at
    fulfillment.metadata.pop(INVOICE, None)
    if term.invoice_id:
        fulfillment.metadata[INVOICE] = term.invoice_id


def note_change(fulfillment: Fulfillment, change: Change) -> None:
    """Keep when the latest change was made."""
    fulfillment.changed_at = max(filter(None, (fulfillment.changed_at, change.moment)))


def is_new(term: Term, fulfillment: Fulfillment) -> bool:
    """Tell whether a period begins after the latest one that was paid."""
    return fulfillment.paid_from is None or term.starts_at > fulfillment.paid_from


def is_back(fulfillment: Fulfillment, term: Term) -> bool:
    """Tell whether awards had stopped before the period: for want of a payment, or of a plan with credits."""
    if fulfillment.paid_through is None:
        return False
    is_left = LEFT_FOR in fulfillment.metadata
    return term.starts_at > fulfillment.paid_through or (
        is_left and term.starts_at == fulfillment.paid_through
    )


def is_paid_at(fulfillment: Fulfillment, moment: datetime.datetime) -> bool:
    """Tell whether a moment lies before the end of what was paid."""
    return fulfillment.paid_through is None or moment < fulfillment.paid_through


def is_older_copy(subscription: Subscription, fulfillment: Fulfillment) -> bool:
    """Tell whether a report is an older copy, of a subscription that the provider has deleted."""
    return ENDED in fulfillment.metadata and subscription.ended_at is None

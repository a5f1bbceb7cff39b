"""Receive Stripe's webhook events from dj-stripe.

An event only says what to look at: its payload gives the identity, Stripe the present state. So neither the order of
events nor their number matters. An error here makes dj-stripe roll everything back and answer 500, and Stripe delivers
again; a payment that cannot be resolved is kept as a notice and answered 200.
"""

from __future__ import annotations

import logging
from typing import Any

# Importing dj-stripe's own receivers first connects them before ours, wherever it stands in INSTALLED_APPS: what it
# keeps of an object is up to date when we are called.
import djstripe.event_handlers  # noqa: F401
from djstripe.models import Event
from djstripe.settings import djstripe_settings
from djstripe.signals import WEBHOOK_SIGNALS

from usage_credits.billing.purchases import is_pack_purchase
from usage_credits.billing.recharge_results import RECHARGE_KEY
from usage_credits.billing.stripe_api import Access
from usage_credits.billing.stripe_objects import Payload, metadata_of, sid, subscription_of
from usage_credits.billing.stripe_purchases import settle_intent, settle_session
from usage_credits.billing.stripe_recharges import settle_failure
from usage_credits.billing.stripe_refunds import settle_refund
from usage_credits.billing.stripe_subscriptions import settle_subscription

logger = logging.getLogger("usage_credits")


def receive_session(sender: Any, event: Event, **kwargs: Any) -> None:
    """Settle the purchase of a checkout session, or the subscription that it started."""
    session = _subject(event)
    subscription_id = sid(session.get("subscription"))
    if session.get("mode") == "subscription" and subscription_id and _counts(event):
        settle_subscription(subscription_id, Access.of(event))
    if session.get("mode") == "payment" and is_pack_purchase(metadata_of(session)) and _counts(event):
        settle_session(session["id"], Access.of(event))


def receive_payment(sender: Any, event: Event, **kwargs: Any) -> None:
    """Settle the purchase behind a payment intent or a charge; neither has pack metadata in any other case."""
    payment = _subject(event)
    intent_id = (
        payment["id"] if payment.get("object") == "payment_intent" else sid(payment.get("payment_intent"))
    )
    if intent_id and is_pack_purchase(metadata_of(payment)) and _counts(event):
        settle_intent(intent_id, Access.of(event))


def receive_failure(sender: Any, event: Event, **kwargs: Any) -> None:
    """End the recharge behind a payment intent that failed; the buyer of anything else was told by who sold it."""
    payment = _subject(event)
    if RECHARGE_KEY in metadata_of(payment) and _counts(event):
        settle_failure(payment, Access.of(event))


def receive_subscription(sender: Any, event: Event, **kwargs: Any) -> None:
    """Settle a subscription that began, changed or ended."""
    subscription = _subject(event)
    changed = (event.data.get("previous_attributes") or {}).keys() & {"items", "plan", "quantity"}
    if _counts(event):
        settle_subscription(
            subscription["id"],
            Access.of(event),
            announced=subscription,
            changed_at=event.created if changed else None,
        )


def receive_invoice(sender: Any, event: Event, **kwargs: Any) -> None:
    """Settle the subscription of an invoice that was paid, failed or given up."""
    subscription_id = subscription_of(_subject(event))
    if subscription_id and _counts(event):
        settle_subscription(subscription_id, Access.of(event))


def receive_refund(sender: Any, event: Event, **kwargs: Any) -> None:
    """Settle the payment that a refund or dispute is about."""
    if _counts(event):
        settle_refund(_subject(event), Access.of(event))


RECEIVERS = {
    "charge.dispute.closed": receive_refund,
    "charge.dispute.created": receive_refund,
    "charge.dispute.funds_reinstated": receive_refund,
    "charge.dispute.funds_withdrawn": receive_refund,
    "charge.dispute.updated": receive_refund,
    "charge.refund.updated": receive_refund,
    "charge.refunded": receive_refund,
    "charge.succeeded": receive_payment,
    "checkout.session.async_payment_succeeded": receive_session,
    "checkout.session.completed": receive_session,
    "customer.subscription.created": receive_subscription,
    "customer.subscription.deleted": receive_subscription,
    "customer.subscription.paused": receive_subscription,
    "customer.subscription.resumed": receive_subscription,
    "customer.subscription.updated": receive_subscription,
    "invoice.marked_uncollectible": receive_invoice,
    "invoice.paid": receive_invoice,
    "invoice.payment_failed": receive_invoice,
    "invoice.voided": receive_invoice,
    "payment_intent.canceled": receive_failure,
    "payment_intent.payment_failed": receive_failure,
    "payment_intent.succeeded": receive_payment,
    "refund.created": receive_refund,
    "refund.failed": receive_refund,
    "refund.updated": receive_refund,
}
"""What is done at which event. A payment that failed was never awarded: its events only end a recharge."""

EVENTS = (*RECEIVERS, "customer.deleted")
"""What an endpoint is enabled for: dj-stripe has to know of a deleted customer, so that another is created."""


def connect() -> None:
    """Connect the receivers to dj-stripe's signals; call it once all apps are loaded."""
    for name, receiver in RECEIVERS.items():
        WEBHOOK_SIGNALS[name].connect(receiver, dispatch_uid=f"usage_credits.{name}")


def _subject(event: Event) -> Payload:
    subject: Payload = event.data["object"]
    return subject


def _counts(event: Event) -> bool:
    """Tell whether the event is of real money, or this project takes test payments."""
    counts = bool(event.livemode or not djstripe_settings.STRIPE_LIVE_MODE)
    if not counts:
        logger.warning("Ignored the test payment of event %s: STRIPE_LIVE_MODE is on", event.id)
    return counts

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
from usage_credits.billing.stripe_api import Access
from usage_credits.billing.stripe_objects import Payload, metadata_of, sid
from usage_credits.billing.stripe_purchases import settle_intent, settle_session

logger = logging.getLogger("usage_credits")


def receive_session(sender: Any, event: Event, **kwargs: Any) -> None:
    """Settle the purchase of a checkout session."""
    session = _subject(event)
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


RECEIVERS = {
    "charge.succeeded": receive_payment,
    "checkout.session.async_payment_succeeded": receive_session,
    "checkout.session.completed": receive_session,
    "payment_intent.succeeded": receive_payment,
}
"""What is done at which event. A payment that failed was never awarded, so its events are not among them."""


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

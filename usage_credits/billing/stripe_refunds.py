"""Settle refunds and disputes of Stripe payments: from what they name to the purchase that they undo."""

from __future__ import annotations

from usage_credits.billing.stripe_api import Access
from usage_credits.billing.stripe_objects import Payload, sid
from usage_credits.billing.stripe_purchases import settle_whole


def settle_refund(subject: Payload, access: Access) -> None:
    """Settle the payment that a charge, refund or dispute is about; one that is no purchase of ours is ignored."""
    intent_id = sid(subject.get("payment_intent"))
    if intent_id:
        settle_whole(intent_id, access)

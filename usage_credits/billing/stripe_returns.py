"""Settle checkouts when their buyers come back, which may be before Stripe's webhook."""

from __future__ import annotations

import logging

import stripe
from django.db import router, transaction

from usage_credits.billing.checkout_results import CheckoutResult, CheckoutStatus
from usage_credits.billing.owner_references import OWNER_KEY
from usage_credits.billing.purchases import is_pack_purchase
from usage_credits.billing.stripe_api import Access, retrieve_session
from usage_credits.billing.stripe_objects import Payload, metadata_of, sid
from usage_credits.billing.stripe_purchases import settle_session
from usage_credits.billing.stripe_subscriptions import settle_subscription
from usage_credits.models import Fulfillment, PaymentNotice

logger = logging.getLogger("usage_credits")

FAILED = frozenset({"canceled", "incomplete_expired", "requires_payment_method"})
"""The statuses of payments and subscriptions of which nothing comes any more."""


def settle_return(session_id: str, reference: str) -> CheckoutResult | None:
    """Settle the checkout session and say what became of it; see `checkout.settle_checkout`.

    None where Stripe has no such session of a pack or plan that was sold to the owner whom `reference` names.
    """
    access = Access.default()
    try:
        session = retrieve_session(session_id, access, expand=("payment_intent", "subscription"))
        if session is None or metadata_of(session).get(OWNER_KEY) != reference or not _sells_credits(session):
            return None
        with transaction.atomic(using=router.db_for_write(Fulfillment)):
            settled = _settle(session, access)
    except stripe.StripeError:
        logger.exception("Could not settle the checkout %s at once; its webhook will", session_id)
        return CheckoutResult(CheckoutStatus.PROCESSING)
    if isinstance(settled, Fulfillment):
        return CheckoutResult(CheckoutStatus.CREDITED, settled)
    return CheckoutResult(CheckoutStatus.PROCESSING if _may_be_paid(session) else CheckoutStatus.UNPAID)


def _sells_credits(session: Payload) -> bool:
    return session.get("mode") == "subscription" or is_pack_purchase(metadata_of(session))


def _settle(session: Payload, access: Access) -> Fulfillment | PaymentNotice | None:
    if session.get("mode") == "payment":
        return settle_session(session["id"], access)
    subscription_id = sid(session.get("subscription"))
    return settle_subscription(subscription_id, access) if subscription_id else None


def _may_be_paid(session: Payload) -> bool:
    """Tell whether the buyer has done all, and the payment did not fail since."""
    payment = session.get("subscription") or session.get("payment_intent") or {}
    return session.get("status") == "complete" and payment.get("status") not in FAILED

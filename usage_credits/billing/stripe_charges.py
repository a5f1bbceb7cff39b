"""Ask Stripe how much of a charge went back to the customer, by refunds and by disputes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import stripe

from usage_credits.billing.refunds import Returned
from usage_credits.billing.stripe_api import Access
from usage_credits.billing.stripe_objects import Payload, refunded_amount

logger = logging.getLogger("usage_credits")

UNDONE = frozenset({"canceled", "failed"})
"""The statuses of refunds whose money stays."""

WITHDRAWN = frozenset({"lost", "needs_response", "under_review"})
"""The statuses of disputes whose money is gone, for now or for good. Inquiries, won and prevented ones leave it."""


def look_at(charge_id: str, access: Access) -> Returned:
    """Return what went back of a charge by now; raises stripe.StripeError where Stripe cannot answer."""
    return returned_of(stripe.Charge.retrieve(charge_id, **access.options()).to_dict(), access)


def returned_of(charge: Payload, access: Access) -> Returned:
    """Return what went back of a charge that was retrieved a moment ago.

    A failed refund may still be part of the charge's `amount_refunded`, so the refunds are asked for too. Where Stripe
    refuses to list them, as it does for a restricted key, that amount stands.
    """
    charge_id = str(charge["id"])
    refunded = refunded_amount(charge)
    if refunded:
        refunds = _list(stripe.Refund, charge_id, access)
        undone = sum(_whole(refund["amount"]) for refund in refunds if refund.get("status") in UNDONE)
        valid = sum(_whole(refund["amount"]) for refund in refunds if refund.get("status") not in UNDONE)
        refunded -= min(undone, max(refunded - valid, 0))
    disputed = 0
    if charge.get("disputed", True):
        disputes = _list(stripe.Dispute, charge_id, access)
        disputed = sum(
            _whole(dispute["amount"]) for dispute in disputes if dispute.get("status") in WITHDRAWN
        )
    return Returned(
        amount=_whole(charge.get("amount_captured")) or _whole(charge.get("amount")),
        refunded=refunded,
        disputed=disputed,
        charge_id=charge_id,
    )


def _list(kind: type[Any], charge_id: str, access: Access) -> list[Mapping[str, Any]]:
    try:
        page = kind.list(charge=charge_id, limit=100, **access.options())
        return [found.to_dict() for found in page.auto_paging_iter()]
    except (stripe.InvalidRequestError, stripe.PermissionError) as refusal:
        logger.warning("Stripe does not list the %ss of %s: %s", kind.OBJECT_NAME, charge_id, refusal)
        return []


def _whole(value: object) -> int:
    """Return an amount; 0 for what is no whole number."""
    return value if type(value) is int else 0

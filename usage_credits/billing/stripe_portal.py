"""Create sessions of the customer portal at Stripe."""

from __future__ import annotations

from typing import Any

import stripe
from django.db import models, router
from django.utils import timezone

from usage_credits.billing.stops import CANCELED
from usage_credits.billing.stripe_api import Access
from usage_credits.billing.stripe_customers import find_customer, find_own_customer, owner_of
from usage_credits.exceptions import InvalidValue
from usage_credits.ledger.wallets import wallets_of
from usage_credits.models import Fulfillment, FulfillmentKind, Wallet


def create_session(owner: models.Model, parameters: dict[str, Any]) -> stripe.billing_portal.Session:
    """Create a portal session for the customer to whom the owner's subscriptions belong, or whom `parameters` name."""
    access = Access.default()
    if not any(parameters.get(name) for name in ("customer", "customer_account")):
        customer_id = _subscribed_customer(owner, access) or find_own_customer(owner)
        if customer_id is None:
            raise InvalidValue("owner", f"{owner} has no Stripe customer, so there is nothing to manage.")
        parameters = {**parameters, "customer": customer_id}
    return stripe.billing_portal.Session.create(**{**access.options(), **parameters})


def _subscribed_customer(owner: models.Model, access: Access) -> str | None:
    """Return the customer of the latest subscription that has not ended; a guest's is one that Stripe made for it."""
    using = router.db_for_write(Wallet, instance=owner)
    subscriptions = Fulfillment.objects.using(using).filter(kind=FulfillmentKind.SUBSCRIPTION)
    wallets = list(wallets_of(owner, using))
    # One that is unpaid has stopped, too, but has yet to be mended.
    open_ones = subscriptions.filter(wallet__in=wallets).exclude(
        stop_reason=CANCELED, stops_at__lte=timezone.now()
    )
    for subscription in open_ones.order_by("-pk"):
        customer_id = subscription.metadata.get("customer_id")
        customer = find_customer(customer_id, access) if customer_id else None
        if customer is None or customer.deleted or customer.date_purged:
            continue
        # A customer that several owners share would show each the payments of all.
        customers_owner = owner_of(customer)
        others = subscriptions.exclude(wallet__in=wallets).filter(metadata__customer_id=customer_id)
        if customers_owner == owner or (customers_owner is None and not others.exists()):
            return str(customer.id)
    return None

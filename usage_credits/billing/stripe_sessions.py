"""Create checkout sessions at Stripe."""

from __future__ import annotations

from typing import Any

import stripe
from django.db import models

from usage_credits.billing.stripe_api import Access
from usage_credits.billing.stripe_customers import ensure_customer

_OWN_CUSTOMER = ("customer", "customer_account", "customer_creation", "customer_email")
"""Arguments with which the caller says who the customer is."""


def create_session(owner: models.Model, parameters: dict[str, Any]) -> stripe.checkout.Session:
    """Create a checkout session for the owner's Stripe customer, unless `parameters` name another one."""
    if not any(parameters.get(name) for name in _OWN_CUSTOMER):
        parameters = {**parameters, "customer": ensure_customer(owner)}
    return stripe.checkout.Session.create(**{**Access.default().options(), **parameters})

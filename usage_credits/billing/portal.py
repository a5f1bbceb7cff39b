"""Send owners to Stripe's customer portal, where they change, pay and end what they subscribed to."""

from __future__ import annotations

from typing import Any

from django.db import models

from usage_credits.billing.owner_references import reference_to
from usage_credits.billing.providers import require_provider
from usage_credits.twins import twin


def create_portal_session(owner: models.Model, **options: Any) -> Any:
    """Create a session of Stripe's customer portal for `owner`; its `url` is where to send them.

    `options` are arguments of `stripe.billing_portal.Session.create` (return_url, flow_data, locale, …). Without
    `customer` or `customer_account` it opens for the Stripe customer of the owner's latest subscription that has not
    ended, else for the owner's own customer; never for one that belongs to another owner. What is changed there
    reaches this project by the webhooks.

    Raises InvalidValue for an owner that has no Stripe customer and for one that is not saved, ImproperlyConfigured
    where dj-stripe is not installed, stripe.StripeError where Stripe refuses. Creates no customer and writes nothing.
    """
    require_provider()
    reference_to(owner)
    # dj-stripe's models can be imported only where it is installed.
    from usage_credits.billing.stripe_portal import create_session

    return create_session(owner, options)


acreate_portal_session = twin(create_portal_session)

"""Start a checkout: what is sold decides the parameters, Stripe makes the session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import models

from usage_credits.billing.pack_checkout import pack_parameters
from usage_credits.dsl.packs import CreditPack
from usage_credits.exceptions import InvalidValue

PARAMETERS: dict[type, Callable[[Any, models.Model, dict[str, Any]], dict[str, Any]]] = {
    CreditPack: pack_parameters
}
"""What can be sold, and what gives the parameters of its checkout session."""


def create_checkout_session(sellable: object, owner: models.Model, **options: Any) -> Any:
    """Create the Stripe checkout session in which `owner` buys `sellable`; its `url` is where the buyer pays.

    `options` are arguments of `stripe.checkout.Session.create` (success_url, cancel_url, allow_promotion_codes, …) and
    are passed through, except what the sale decides itself: `mode`, `line_items` and our keys in metadata. Without
    `customer`, `customer_email` or `customer_creation` the owner's Stripe customer is used, created where there is
    none.

    Raises InvalidValue for what cannot be sold and for an owner that is not saved, ImproperlyConfigured where
    dj-stripe is not installed, stripe.StripeError where Stripe refuses. Awards nothing: the webhook does that.
    """
    parameters_of = PARAMETERS.get(type(sellable))
    if parameters_of is None:
        allowed = " or ".join(kind.__name__ for kind in PARAMETERS)
        raise InvalidValue.of("sellable", sellable, f"a {allowed}: nothing else is sold through Stripe")
    if not apps.is_installed("djstripe"):
        raise ImproperlyConfigured('Selling through Stripe needs "djstripe" in INSTALLED_APPS.')
    # dj-stripe's models can be imported only where it is installed.
    from usage_credits.billing.stripe_sessions import create_session

    return create_session(owner, parameters_of(sellable, owner, options))

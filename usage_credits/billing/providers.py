"""Whom packs and plans are sold through."""

from __future__ import annotations

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from usage_credits.exceptions import InvalidValue

STRIPE = "stripe"


def require_provider(provider: object = STRIPE) -> None:
    """Raise InvalidValue for any provider but Stripe, ImproperlyConfigured where dj-stripe is not installed."""
    if provider != STRIPE:
        raise InvalidValue.of("provider", provider, f'"{STRIPE}": no other provider has a checkout')
    if not can_sell():
        raise ImproperlyConfigured('Selling through Stripe needs "djstripe" in INSTALLED_APPS.')


def can_sell() -> bool:
    """Tell whether anything can be sold here: dj-stripe is installed."""
    return apps.is_installed("djstripe")


def provider_errors() -> tuple[type[Exception], ...]:
    """Return what is raised where the provider refuses or does not answer, for an `except`; without one, nothing."""
    if not can_sell():
        return ()
    # Stripe can be imported only where it is installed.
    from usage_credits.billing.stripe_api import ERRORS

    return ERRORS

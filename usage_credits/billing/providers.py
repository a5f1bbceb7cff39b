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
    if not apps.is_installed("djstripe"):
        raise ImproperlyConfigured('Selling through Stripe needs "djstripe" in INSTALLED_APPS.')

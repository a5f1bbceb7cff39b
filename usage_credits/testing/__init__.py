"""What the test suites of projects need: captured events, signed webhooks, a fake Stripe.

The names that need Stripe's library are imported on first use, so that the others work without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from usage_credits.testing.events import capture_events
from usage_credits.testing.signatures import stripe_signature

if TYPE_CHECKING:
    from usage_credits.testing.fake_stripe import FakeStripe, FakeStripeServer, use_fake_stripe
    from usage_credits.testing.webhooks import receive_webhooks

__all__ = [
    "FakeStripe",
    "FakeStripeServer",
    "capture_events",
    "receive_webhooks",
    "stripe_signature",
    "use_fake_stripe",
]

_NEED_STRIPE = {
    "FakeStripe": "usage_credits.testing.fake_stripe",
    "FakeStripeServer": "usage_credits.testing.fake_stripe",
    "receive_webhooks": "usage_credits.testing.webhooks",
    "use_fake_stripe": "usage_credits.testing.fake_stripe",
}


def __getattr__(name: str) -> Any:
    if name in _NEED_STRIPE:
        return getattr(import_module(_NEED_STRIPE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""A Stripe that lives in the tests: an API, customers who pay, signed events. No money moves."""

from __future__ import annotations

from usage_credits.testing.fake_stripe.client import FakeStripeClient, use_fake_stripe
from usage_credits.testing.fake_stripe.delivery import over_http, through_test_client
from usage_credits.testing.fake_stripe.fake import FakeStripe
from usage_credits.testing.fake_stripe.server import FakeStripeServer

__all__ = [
    "FakeStripe",
    "FakeStripeClient",
    "FakeStripeServer",
    "use_fake_stripe",
    "over_http",
    "through_test_client",
]

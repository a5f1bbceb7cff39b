from __future__ import annotations

from collections.abc import Iterator

import pytest
import stripe

from tests.testing.subscribing import START
from usage_credits.testing import FakeStripe, receive_webhooks, use_fake_stripe


@pytest.fixture
def api_version() -> str | None:
    return None


@pytest.fixture
def fake(db: None, monkeypatch: pytest.MonkeyPatch, api_version: str | None) -> Iterator[FakeStripe]:
    """Stand in for Stripe, with dj-stripe listening and a clock of its own that stands still."""
    monkeypatch.setattr(stripe, "api_key", "sk_test_1")
    with use_fake_stripe(FakeStripe(clock=START.timestamp)) as fake:
        # Whatever the fake tells of, dj-stripe must be able to take.
        receive_webhooks(enabled_events=["*"], api_version=api_version)
        fake.add_price("price_other", amount=3_000)
        fake.add_price("price_large", amount=9_000)
        fake.add_price("price_yearly", amount=30_000, interval="year")
        yield fake

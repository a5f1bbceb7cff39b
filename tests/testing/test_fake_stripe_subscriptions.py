from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe
from djstripe import models as djstripe

from usage_credits.testing import FakeStripe, receive_webhooks, use_fake_stripe

pytestmark = pytest.mark.django_db

START = datetime(2027, 1, 31, 12, tzinfo=UTC)
OLDER = "2024-06-20"


@pytest.fixture(params=[None, OLDER])
def fake(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeStripe]:
    monkeypatch.setattr(stripe, "api_key", "sk_test_1")
    with use_fake_stripe(FakeStripe(clock=START.timestamp)) as fake:
        receive_webhooks(api_version=request.param)
        fake.add_price("price_other", amount=3_000)
        fake.add_price("price_large", amount=9_000)
        yield fake


def check_out(fake: FakeStripe, price: str = "price_other", **options: Any) -> dict[str, Any]:
    session = stripe.checkout.Session.create(
        mode="subscription",
        line_items=[{"price": price, "quantity": 1}],
        success_url="https://shop.test/",
        **options,
    )
    return fake.pay(session)


def subscription_of(fake: FakeStripe, session: dict[str, Any]) -> dict[str, Any]:
    return fake.get("subscription", session["subscription"])


def new_events(fake: FakeStripe) -> list[str]:
    """Deliver what happened since, all of it accepted; return the types."""
    before = len(fake._delivered)
    assert set(fake.deliver_pending()) == {200}
    return [event["type"] for event in fake.events[before:]]


def test_walk_through_the_life_of_a_subscription(fake: FakeStripe) -> None:
    subscription = subscription_of(fake, check_out(fake, subscription_data={"metadata": {"a": "1"}}))
    assert new_events(fake)
    for _month in range(3):
        fake.advance(timedelta(days=31))
        assert new_events(fake)
    fake.fail_card(subscription["customer"])
    fake.advance(timedelta(days=31))
    assert new_events(fake)
    fake.mend_card(subscription["customer"])
    fake.retry(subscription["latest_invoice"])
    assert new_events(fake)
    fake.change_plan(subscription, "price_large")
    assert new_events(fake)
    fake.cancel(subscription, at_period_end=True)
    assert new_events(fake)
    fake.advance(timedelta(days=31))
    assert new_events(fake)
    assert djstripe.Subscription.objects.get().stripe_data["status"] == "canceled"

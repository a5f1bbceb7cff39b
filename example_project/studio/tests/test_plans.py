from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from studio.models import User
from usage_credits.testing import FakeStripe, StoppedClock


def subscribe(browser: Client, stripe: FakeStripe, period: str = "month") -> dict[str, Any]:
    """Check out, pay and deliver the events; return the subscription."""
    answer = browser.post("/credits/shop/subscribe/", {"plan": "pro", "period": period})
    [session] = stripe.all("checkout.session")
    assert (answer.status_code, answer.headers["Location"]) == (303, session["url"])
    stripe.pay(session)
    assert set(stripe.deliver_pending()) == {200}
    return stripe.get("subscription", session["subscription"])


def test_everybody_has_the_free_plan(browser: Client, user: User) -> None:
    page = browser.get("/credits/").content.decode()
    assert "<strong>Free</strong>" in page
    assert "+5 credits" in page


@pytest.mark.parametrize("period", ["month", "year"])
def test_subscribing_adds_the_bonus_and_the_first_credits(
    browser: Client, user: User, stripe: FakeStripe, period: str
) -> None:
    subscribe(browser, stripe, period)
    [session] = stripe.all("checkout.session")
    page = browser.get("/credits/checkout/return/", {"session_id": session["id"]}).content.decode()
    assert "450 credits added to your balance" in page
    assert user.credits == 20 + 450
    assert "Subscribe to" not in browser.get("/credits/shop/").content.decode()


def test_three_months_bring_credits_for_each(
    browser: Client, user: User, stripe: FakeStripe, clock: StoppedClock
) -> None:
    subscribe(browser, stripe)
    clock.travel(months=3, days=1)
    assert user.credit_history.filter(amount=400).count() == 4


def test_notices_of_a_subscription_delivered_twice_add_credits_once(
    browser: Client, user: User, stripe: FakeStripe
) -> None:
    for event in reversed(stripe.events_for(subscribe(browser, stripe))):
        assert stripe.deliver(stripe.reissue(event)) == [200]
    assert user.credits == 20 + 450


def test_cancelling_shows_when_the_plan_ends(browser: Client, user: User, stripe: FakeStripe) -> None:
    subscription = subscribe(browser, stripe)
    stripe.cancel(subscription, at_period_end=True)
    stripe.deliver_pending()
    page = browser.get("/credits/").content.decode()
    assert "ends on" in page
    assert "+400 credits" not in page
    assert user.credits == 20 + 450

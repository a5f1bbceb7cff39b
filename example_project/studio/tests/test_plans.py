from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from studio.models import User
from studio.plans import running_plans
from usage_credits.testing import FakeStripe, StoppedClock


def subscribe(browser: Client, stripe: FakeStripe, period: str = "month") -> dict[str, Any]:
    """Check out, pay and deliver the events; return the subscription."""
    answer = browser.post(f"/plans/pro/{period}/subscribe/")
    [session] = stripe.all("checkout.session")
    assert (answer.status_code, answer.headers["Location"]) == (303, session["url"])
    stripe.pay(session)
    assert set(stripe.deliver_pending()) == {200}
    return stripe.get("subscription", session["subscription"])


def statement(browser: Client) -> str:
    return browser.get("/statement/").content.decode()


def test_everybody_has_the_free_plan(browser: Client, user: User) -> None:
    [free] = running_plans(user)
    assert (free.name, free.credits, free.is_paid, free.ends_at) == ("Free plan", 5, False, None)
    assert "The next 5 credits come on" in statement(browser)
    assert "Manage subscription" not in statement(browser)


@pytest.mark.parametrize("period", ["month", "year"])
def test_subscribing_adds_the_bonus_and_the_first_credits(
    browser: Client, user: User, stripe: FakeStripe, period: str
) -> None:
    subscribe(browser, stripe, period)
    [session] = stripe.all("checkout.session")
    page = browser.get("/packs/purchased/", {"session_id": session["id"]}).content.decode()
    assert "450 credits have been added" in page
    assert user.credits == 20 + 450
    assert "The next 400 credits come on" in statement(browser)
    assert "Subscribe for" not in browser.get("/packs/").content.decode()


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
    page = statement(browser)
    assert "It ends on" in page
    assert "The next 400" not in page
    stripe.cancel(subscription)
    stripe.deliver_pending()
    assert [plan.name for plan in running_plans(user)] == ["Free plan"]
    assert user.credits == 20 + 450


def test_a_payment_that_fails_is_told(browser: Client, user: User, stripe: FakeStripe) -> None:
    subscription = subscribe(browser, stripe)
    stripe.fail_card(subscription["customer"])
    stripe.advance(timedelta(days=32))
    stripe.deliver_pending()
    assert "It rests: past due." in statement(browser)


def test_who_has_a_plan_manages_it_in_the_portal(browser: Client, stripe: FakeStripe) -> None:
    subscribe(browser, stripe)
    for path in ("/plans/manage/", "/plans/pro/year/subscribe/"):
        answer = browser.post(path)
        portal = stripe.all("billing_portal.session")[-1]
        assert (answer.status_code, answer.headers["Location"]) == (303, portal["url"])
        assert portal["return_url"] == "http://testserver/statement/"
    assert len(stripe.all("checkout.session")) == 1


def test_there_is_nothing_to_manage_without_a_customer(browser: Client, stripe: FakeStripe) -> None:
    assert browser.post("/plans/manage/").status_code == 404


@pytest.mark.parametrize("path", ["/plans/golden/month/", "/plans/pro/week/", "/plans/free/month/"])
def test_plans_that_are_not_sold_are_not_found(browser: Client, path: str) -> None:
    assert browser.post(f"{path}subscribe/").status_code == 404


def test_subscribing_while_stripe_is_down_is_a_friendly_page(browser: Client, stripe: FakeStripe) -> None:
    with stripe.outage():
        answer = browser.post("/plans/pro/month/subscribe/")
    assert answer.status_code == 502
    assert "the Pro plan cannot be bought at the moment" in answer.content.decode()


def test_managing_while_stripe_is_down_is_a_friendly_page(browser: Client, stripe: FakeStripe) -> None:
    subscribe(browser, stripe)
    with stripe.outage():
        answer = browser.post("/plans/manage/")
    assert answer.status_code == 502
    assert "your plan cannot be managed at the moment" in answer.content.decode()


def test_refund_of_half_a_pack_takes_half_of_its_credits(
    browser: Client, user: User, stripe: FakeStripe
) -> None:
    browser.post("/packs/studio/buy/")
    stripe.pay(stripe.all("checkout.session")[0])
    stripe.deliver_pending()
    stripe.refund(stripe.all("charge")[0], 1_950)
    stripe.deliver_pending()
    assert user.credits == 20 + 550 - 275

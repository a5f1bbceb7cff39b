from __future__ import annotations

from typing import Any

from django.test import Client

from studio.models import User
from usage_credits.testing import FakeStripe


def buy(browser: Client, pack: str = "starter") -> Any:
    return browser.post("/credits/shop/buy/", {"pack": pack})


def come_back(browser: Client, session: dict[str, Any]) -> str:
    return browser.get("/credits/checkout/return/", {"session_id": session["id"]}).content.decode()


def test_buying_a_pack_goes_through_checkout_and_adds_its_credits(
    browser: Client, user: User, stripe: FakeStripe
) -> None:
    answer = buy(browser, "studio")
    [session] = stripe.all("checkout.session")
    assert (answer.status_code, answer.headers["Location"]) == (303, session["url"])
    assert "was not paid" in come_back(browser, session)
    stripe.pay(session)
    assert set(stripe.deliver_pending()) == {200}
    assert user.credits == 20 + 550
    assert "550 credits added to your balance" in come_back(browser, session)


def test_coming_back_before_stripes_events_adds_the_credits(
    browser: Client, user: User, stripe: FakeStripe
) -> None:
    buy(browser)
    [session] = stripe.all("checkout.session")
    stripe.pay(session)
    assert "60 credits added to your balance" in come_back(browser, session)
    assert user.credits == 80
    assert set(stripe.deliver_pending()) == {200}
    assert user.credits == 80


def test_buying_saves_the_card_that_pays_for_recharges(
    browser: Client, user: User, stripe: FakeStripe
) -> None:
    buy(browser)
    stripe.pay(stripe.all("checkout.session")[0])
    [payment] = stripe.all("payment_intent")
    assert payment["setup_future_usage"] == "off_session"


def test_forged_events_add_nothing(browser: Client, user: User, stripe: FakeStripe) -> None:
    buy(browser)
    stripe.pay(stripe.all("checkout.session")[0])
    assert stripe.deliver(stripe.event("checkout.session.completed"), secret="whsec_forged") == [400]
    assert user.credits == 20


def test_events_delivered_twice_add_credits_once(browser: Client, user: User, stripe: FakeStripe) -> None:
    buy(browser)
    [session] = stripe.all("checkout.session")
    stripe.pay(session)
    for event in stripe.events_for(session):
        assert stripe.deliver(event, times=2) == [200, 200]
    assert user.credits == 80


def test_refund_of_half_a_pack_takes_half_of_its_credits(
    browser: Client, user: User, stripe: FakeStripe
) -> None:
    buy(browser, "studio")
    stripe.pay(stripe.all("checkout.session")[0])
    stripe.deliver_pending()
    stripe.refund(stripe.all("charge")[0], 1_950)
    stripe.deliver_pending()
    assert user.credits == 20 + 550 - 275


def test_buying_while_stripe_is_down_is_a_friendly_page(browser: Client, stripe: FakeStripe) -> None:
    with stripe.outage():
        answer = buy(browser)
    assert answer.status_code == 502
    assert "Nothing was charged" in answer.content.decode()

from __future__ import annotations

from typing import Any

from django.test import Client

from studio.models import User
from usage_credits.testing import FakeStripe


def come_back(browser: Client, session: dict[str, Any]) -> str:
    return browser.get("/packs/purchased/", {"session_id": session["id"]}).content.decode()


def test_buying_a_pack_goes_through_checkout_and_adds_its_credits(
    browser: Client, user: User, stripe: FakeStripe
) -> None:
    answer = browser.post("/packs/studio/buy/")
    [session] = stripe.all("checkout.session")
    assert (answer.status_code, answer.headers["Location"]) == (303, session["url"])
    assert "was not paid" in come_back(browser, session)
    stripe.pay(session)
    assert set(stripe.deliver_pending()) == {200}
    assert user.credits == 20 + 550
    assert "550 credits have been added" in come_back(browser, session)


def test_coming_back_before_stripes_events_adds_the_credits(
    browser: Client, user: User, stripe: FakeStripe
) -> None:
    browser.post("/packs/starter/buy/")
    [session] = stripe.all("checkout.session")
    stripe.pay(session)
    assert "60 credits have been added" in come_back(browser, session)
    assert user.credits == 80
    assert set(stripe.deliver_pending()) == {200}
    assert user.credits == 80


def test_buying_again_waits_for_the_new_purchase(browser: Client, user: User, stripe: FakeStripe) -> None:
    browser.post("/packs/starter/buy/")
    stripe.pay(stripe.all("checkout.session")[0])
    stripe.deliver_pending()
    browser.post("/packs/starter/buy/")
    session = stripe.all("checkout.session")[1]
    stripe.pay(session, delayed=True)
    assert "has not confirmed the payment yet" in come_back(browser, session)
    assert user.credits == 80


def test_purchases_of_others_are_not_found(browser: Client, stripe: FakeStripe) -> None:
    browser.post("/packs/starter/buy/")
    [session] = stripe.all("checkout.session")
    browser.force_login(User.objects.create_user("eve"))
    assert browser.get("/packs/purchased/", {"session_id": session["id"]}).status_code == 404


def test_forged_events_add_nothing(browser: Client, user: User, stripe: FakeStripe) -> None:
    browser.post("/packs/starter/buy/")
    stripe.pay(stripe.all("checkout.session")[0])
    assert stripe.deliver(stripe.event("checkout.session.completed"), secret="whsec_forged") == [400]
    assert user.credits == 20


def test_events_delivered_twice_add_credits_once(browser: Client, user: User, stripe: FakeStripe) -> None:
    browser.post("/packs/starter/buy/")
    [session] = stripe.all("checkout.session")
    stripe.pay(session)
    for event in stripe.events_for(session):
        assert stripe.deliver(event, times=2) == [200, 200]
    assert user.credits == 80


def test_buying_while_stripe_is_down_is_a_friendly_page(browser: Client, stripe: FakeStripe) -> None:
    with stripe.outage():
        answer = browser.post("/packs/starter/buy/")
    assert answer.status_code == 502
    assert "cannot be bought at the moment" in answer.content.decode()


def test_packs_that_do_not_exist_are_not_found(browser: Client) -> None:
    assert browser.post("/packs/golden/buy/").status_code == 404

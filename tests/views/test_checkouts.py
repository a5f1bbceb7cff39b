from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.app.models import Team, User
from tests.billing.shopping import sent
from tests.factories import configured, stored
from tests.views.test_shop import PLANS
from tests.views.visiting import seen, url
from usage_credits.models import Wallet
from usage_credits.testing import StripeWorld

SESSIONS, PORTAL = "/v1/checkout/sessions", "/v1/billing_portal/sessions"
BACK = "http://testserver/credits/checkout/return/?session_id={CHECKOUT_SESSION_ID}"
SHOP = "http://testserver/credits/shop/"
ELSEWHERE = ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)", "/" + "x" * 2_000]


@pytest.fixture
def stripe_prices() -> dict[str, Any]:
    return {f"price_{key}": 2_900 for key in "myto"}


@pytest.fixture(autouse=True)
def plans() -> Any:
    with configured(SUBSCRIPTION_PLANS=PLANS):
        yield


def asked(world: StripeWorld) -> list[str]:
    """Return what Stripe was asked for that leads a buyer anywhere."""
    return [one.path for one in world.fake.requests if one.method == "post" and "sessions" in one.path]


def test_buying_leads_to_the_checkout_of_the_pack(
    client: Client, user: User, stripe_world: StripeWorld
) -> None:
    answer = client.post(url("buy_pack"), {"pack": "starter"})
    (session,) = stripe_world.fake.all("checkout.session")
    assert (answer.status_code, answer["Location"]) == (303, session["url"])
    parameters = sent(stripe_world.fake)
    assert (parameters["success_url"], parameters["cancel_url"]) == (BACK, SHOP)
    assert parameters["metadata"]["pack_name"] == "starter"
    stripe_world.fake.pay(session)
    answer = client.get(url("checkout_return"), {"session_id": session["id"]})
    assert "1000 credits added to your balance." in seen(answer)
    assert f'<a href="{url("wallet")}">See your wallet</a>' in seen(answer)
    assert user.credits == 1_000


def test_buyers_go_on_to_where_they_came_from(client: Client, stripe_world: StripeWorld) -> None:
    client.post(url("buy_pack"), {"pack": "starter", "next": "/renders/?a=b&c=d"})
    assert sent(stripe_world.fake)["success_url"] == f"{BACK}&next=%2Frenders%2F%3Fa%3Db%26c%3Dd"
    (session,) = stripe_world.fake.all("checkout.session")
    stripe_world.fake.pay(session)
    came_back = sent(stripe_world.fake)["success_url"].replace("{CHECKOUT_SESSION_ID}", session["id"])
    answer = client.get(came_back.removeprefix("http://testserver"))
    assert (answer.status_code, answer["Location"]) == (302, "/renders/?a=b&c=d")


def test_owner_without_a_wallet_buys(client: Client, user: User, stripe_world: StripeWorld) -> None:
    Wallet.objects.all().delete()
    client.post(url("buy_pack"), {"pack": "hundred"})
    assert not Wallet.objects.exists()
    stripe_world.fake.pay(stripe_world.fake.all("checkout.session")[0])
    stripe_world.deliver()
    assert user.credits == 100


@pytest.mark.parametrize("pack", ["gone", "", "x" * 100_000, "star\x00ter", "STARTER"])
def test_pack_that_there_is_not_is_not_found(client: Client, stripe_world: StripeWorld, pack: str) -> None:
    before = stored()
    assert client.post(url("buy_pack"), {"pack": pack}).status_code == 404
    assert client.post(url("buy_pack")).status_code == 404
    assert (stored(), asked(stripe_world)) == (before, [])


@pytest.mark.parametrize("elsewhere", ELSEWHERE)
@pytest.mark.parametrize("name", ["buy_pack", "subscribe", "manage_subscription"])
def test_going_on_elsewhere_is_refused(
    client: Client, stripe_world: StripeWorld, name: str, elsewhere: str
) -> None:
    before = stored()
    form = {"pack": "starter", "plan": "team", "next": elsewhere}
    assert client.post(url(name), form).status_code == 400
    assert (stored(), asked(stripe_world)) == (before, [])


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ({"plan": "pro", "period": "month"}, {"price": "price_m", "quantity": "1"}),
        ({"plan": "pro", "period": "year", "seats": "7"}, {"price": "price_y", "quantity": "1"}),
        ({"plan": "team"}, {"price": "price_t", "quantity": "1"}),
        ({"plan": "team", "seats": "7"}, {"price": "price_t", "quantity": "7"}),
    ],
)
def test_subscribing_leads_to_the_checkout_of_the_plan(
    client: Client, user: User, stripe_world: StripeWorld, form: dict[str, str], line: dict[str, str]
) -> None:
    answer = client.post(url("subscribe"), form)
    (session,) = stripe_world.fake.all("checkout.session")
    assert (answer.status_code, answer["Location"]) == (303, session["url"])
    parameters = sent(stripe_world.fake)
    assert parameters["line_items"] == [line]
    assert (parameters["success_url"], parameters["cancel_url"]) == (BACK, SHOP)


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"plan": "gone"},
        {"plan": "x" * 100_000},
        {"plan": "pro"},
        {"plan": "pro", "period": "week"},
        {"plan": "pro", "period": "x" * 100_000},
        {"plan": "team", "period": "month"},
        {"plan": "old"},
        {"plan": "free"},
    ],
)
def test_plan_that_is_not_sold_so_is_not_found(
    client: Client, stripe_world: StripeWorld, form: dict[str, str]
) -> None:
    before = stored()
    assert client.post(url("subscribe"), form).status_code == 404
    assert (stored(), asked(stripe_world)) == (before, [])


@pytest.mark.parametrize("seats", ["0", "-1", "1.5", "many", "100001", "9" * 5_000, "²"])
def test_seats_that_there_are_not_are_refused(client: Client, stripe_world: StripeWorld, seats: str) -> None:
    before = stored()
    assert client.post(url("subscribe"), {"plan": "team", "seats": seats}).status_code == 400
    assert (stored(), asked(stripe_world)) == (before, [])


def test_who_pays_for_a_plan_is_led_to_the_portal(
    client: Client, user: User, stripe_world: StripeWorld
) -> None:
    stripe_world.subscribe(user, "pro", period="month")
    stripe_world.fake.requests.clear()
    answer = client.post(url("subscribe"), {"plan": "team"})
    assert answer.status_code == 303
    assert answer["Location"] != SHOP
    assert asked(stripe_world) == [PORTAL]
    assert sent(stripe_world.fake, PORTAL)["return_url"] == SHOP


def test_who_ended_a_plan_subscribes_anew(client: Client, user: User, stripe_world: StripeWorld) -> None:
    subscription = stripe_world.subscribe(user, "pro", period="month")
    stripe_world.fake.cancel(subscription)
    stripe_world.deliver()
    stripe_world.fake.requests.clear()
    assert client.post(url("subscribe"), {"plan": "team"}).status_code == 303
    assert asked(stripe_world) == [SESSIONS]


def test_managing_leads_to_the_portal_and_back(client: Client, user: User, stripe_world: StripeWorld) -> None:
    stripe_world.customer_of(user)
    answer = client.post(url("manage_subscription"), {"next": url("recharge")})
    assert answer.status_code == 303
    assert sent(stripe_world.fake, PORTAL)["return_url"] == "http://testserver/credits/recharge/"


def test_who_has_bought_nothing_has_nothing_to_manage(client: Client, stripe_world: StripeWorld) -> None:
    before = stored()
    page = seen(client.post(url("manage_subscription")), 404)
    assert "Nothing to manage yet" in page
    assert (stored(), asked(stripe_world)) == (before, [])


@pytest.mark.parametrize(
    ("name", "form", "path"),
    [
        ("buy_pack", {"pack": "starter"}, SESSIONS),
        ("buy_pack", {"pack": "starter"}, "/v1/customers"),
        ("subscribe", {"plan": "team"}, SESSIONS),
        ("manage_subscription", {}, PORTAL),
    ],
)
def test_silence_of_stripe_is_told_and_changes_nothing(
    client: Client, user: User, stripe_world: StripeWorld, name: str, form: dict[str, str], path: str
) -> None:
    if path != "/v1/customers":
        stripe_world.customer_of(user)
    before = stored()
    with stripe_world.fake.outage(path):
        page = seen(client.post(url(name), form), 502)
    assert "Nothing was charged" in page
    assert f'href="{url("shop")}">Back to the shop' in page
    assert stored() == before


@pytest.mark.usefixtures("without_stripe")
@pytest.mark.parametrize("name", ["buy_pack", "subscribe", "manage_subscription"])
def test_nothing_is_sold_without_dj_stripe(client: Client, name: str) -> None:
    before = stored()
    form = {"pack": "starter", "plan": "pro", "period": "month"}
    assert client.post(url(name), form).status_code == 404
    assert client.get(url("checkout_return"), {"session_id": "cs_test_1"}).status_code == 404
    assert stored() == before


def test_project_says_what_else_a_checkout_takes(client: Client, stripe_world: StripeWorld) -> None:
    assert client.post("/credits/save-card/", {"pack": "starter"}).status_code == 303
    assert sent(stripe_world.fake)["payment_intent_data"]["setup_future_usage"] == "off_session"


def test_team_buys_for_itself_and_comes_back_to_its_own_pages(
    client: Client, user: User, stripe_world: StripeWorld
) -> None:
    team = Team.objects.create(name="Analysts", email=user.email)
    home = f"/teams/{team.pk}/credits"
    assert client.post(f"{home}/shop/buy/", {"pack": "hundred"}).status_code == 303
    parameters = sent(stripe_world.fake)
    assert parameters["success_url"].startswith(f"http://testserver{home}/checkout/return/")
    (session,) = stripe_world.fake.all("checkout.session")
    stripe_world.fake.pay(session)
    assert client.get(url("checkout_return"), {"session_id": session["id"]}).status_code == 404
    page = seen(client.get(f"{home}/checkout/return/", {"session_id": session["id"]}))
    assert "100 credits added to your balance." in page
    assert (team.credits, user.credits) == (100, 0)

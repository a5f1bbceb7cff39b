from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import models
from rest_framework.test import APIClient, APIRequestFactory, force_authenticate

from tests.app.models import Team
from tests.billing.shopping import sent
from tests.contrib.rest_framework.asking import PROBLEM, Program
from tests.factories import configured, make_user, stored
from usage_credits import InvalidValue, SubscriptionPlan, credits
from usage_credits.contrib.rest_framework.offers import CheckoutView
from usage_credits.contrib.rest_framework.urls import api_urls
from usage_credits.testing import FakeStripe, StripeWorld, use_stripe_world

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.contrib.rest_framework.urls")]

CHECKOUT = "/api/credits/checkout/"
URLS = {
    "success_url": "http://testserver/thanks/?session_id={CHECKOUT_SESSION_ID}",
    "cancel_url": "http://testserver/back/",
}
STARTER = {"pack": "starter", **URLS}
MONTHLY = credits(500).every("month")


@pytest.fixture
def world(db: None) -> Iterator[StripeWorld]:
    with use_stripe_world() as world:
        world.fake.requests.clear()
        yield world


@pytest.fixture
def fake(world: StripeWorld) -> FakeStripe:
    return world.fake


def assert_nothing_happened(fake: FakeStripe, before: dict[str, list[Any]]) -> None:
    assert fake.requests == []
    assert stored() == before


def test_pack_is_checked_out_paid_and_awarded(world: StripeWorld) -> None:
    user = make_user()
    answer = Program(user).ask(CHECKOUT, STARTER)
    session = answer.json()
    assert (answer.status_code, list(session)) == (201, ["id", "url"])
    assert session["url"] == world.fake.get("checkout.session", session["id"])["url"]
    parameters = sent(world.fake)
    assert (parameters["mode"], parameters["success_url"]) == ("payment", URLS["success_url"])
    assert parameters["metadata"]["usage_credits_owner"] == f"app.user:{user.pk}"
    world.fake.pay(session["id"])
    world.deliver()
    assert user.credits == 1_000


@pytest.mark.parametrize(
    ("choice", "price"), [({"period": "month"}, "price_m"), ({"period": "year", "quantity": 3}, "price_y")]
)
def test_plan_is_checked_out_by_its_period(world: StripeWorld, choice: dict[str, Any], price: str) -> None:
    prices = {"month": "price_m", "year": "price_y"}
    with configured(SUBSCRIPTION_PLANS=[SubscriptionPlan("pro", gives=MONTHLY, stripe_price=prices)]):
        world.add_prices()
        answer = Program(make_user()).ask(CHECKOUT, {"plan": "pro", **choice, **URLS})
    assert answer.status_code == 201
    (line,) = sent(world.fake)["line_items"]
    assert (line["price"], int(line["quantity"])) == (price, choice.get("quantity", 1))


def test_form_is_taken_too(fake: FakeStripe) -> None:
    assert Program(make_user()).post(CHECKOUT, STARTER, format="multipart").status_code == 201


def test_team_pays_for_itself_and_may_lead_back_to_hosts_of_the_project(fake: FakeStripe) -> None:
    user = make_user()
    user.email = "team@example.com"
    program, team = Program(user), Team.objects.create(name="Analysts")
    urls = {"success_url": "https://app.example.com/#/thanks", "cancel_url": URLS["cancel_url"]}
    path = f"/api/teams/{team.pk}/credits/checkout/"
    assert program.ask(path, {"pack": "starter", **urls}).status_code == 201
    owner = sent(fake)["metadata"]["usage_credits_owner"]
    assert owner.startswith("app.team:")
    assert program.ask(CHECKOUT, {"pack": "starter", **urls}).status_code == 400


@pytest.mark.parametrize("field", ["success_url", "cancel_url"])
@pytest.mark.parametrize(
    "url",
    [
        "",
        " ",
        "https://evil.test/",
        "//evil.test/",
        "//testserver/thanks/",
        "/thanks/",
        "thanks",
        "http:///evil.test",
        "http://testserver@evil.test/",
        "http://testserver.evil.test/",
        "http://evil.test\\@testserver/",
        "http://testserver:8000/",
        "http://[::1/",
        "javascript:alert(1)",
        "javascript://testserver/%0aalert(1)",
        "ftp://testserver/",
        "http://testserver/a b",
        "http://testserver/\n/evil.test",
        "http://testserver/" + "x" * 2_048,
        None,
        7,
        ["http://testserver/"],
    ],
)
def test_bad_redirects_are_refused(fake: FakeStripe, field: str, url: Any) -> None:
    program = Program(make_user())
    before = stored()
    answer = program.ask(CHECKOUT, {**STARTER, field: url})
    assert (answer.status_code, list(answer.json())) == (400, [field])
    assert_nothing_happened(fake, before)


def test_redirects_have_to_be_secure_where_the_request_is(fake: FakeStripe) -> None:
    program = Program(make_user())
    answer = program.post(CHECKOUT, STARTER, format="json", secure=True)
    assert sorted(answer.json()) == ["cancel_url", "success_url"]
    secure = {name: url.replace("http:", "https:") for name, url in URLS.items()}
    order = {"pack": "starter", **secure}
    assert program.post(CHECKOUT, order, format="json", secure=True).status_code == 201


@pytest.mark.parametrize(
    ("field", "value"), [("redirect_hosts", "app.example.com"), ("redirect_hosts", 5), ("owner", "team")]
)
def test_bad_options_of_the_api_are_refused_at_once(field: str, value: Any) -> None:
    with pytest.raises(InvalidValue) as refused:
        api_urls(**{field: value})
    assert refused.value.field == field


@pytest.mark.behaviour("TOK-19")
@pytest.mark.parametrize(
    ("order", "field", "said"),
    [
        ({}, "non_field_errors", "either"),
        ({"pack": "starter", "plan": "pro"}, "non_field_errors", "either"),
        ({"pack": "unknown"}, "pack", "name"),
        ({"pack": "Starter"}, "pack", "name"),
        ({"pack": "x" * 256}, "pack", "255"),
        ({"pack": "\x00"}, "pack", "Null"),
        ({"pack": ["starter"]}, "pack", "string"),
        ({"pack": "starter", "period": "month"}, "period", "None"),
        ({"pack": "starter", "quantity": 2}, "quantity", "1"),
        ({"pack": "starter", "quantity": 0}, "quantity", "1"),
        ({"plan": "unknown"}, "plan", "name"),
        ({"plan": "old"}, "plan", "name"),
        ({"plan": "free"}, "plan", "name"),
        ({"plan": "pro"}, "period", "month"),
        ({"plan": "pro", "period": "week"}, "period", "month"),
        ({"plan": "single", "period": "month"}, "period", "None"),
        ({"plan": "single", "period": "x" * 256}, "period", "255"),
        ({"plan": "single", "quantity": "many"}, "quantity", "integer"),
        ({"plan": "single", "quantity": 10**30}, "quantity", "1000000"),
    ],
)
def test_what_is_not_sold_is_refused(fake: FakeStripe, order: dict[str, Any], field: str, said: str) -> None:
    plans = [
        SubscriptionPlan("pro", gives=MONTHLY, stripe_price={"month": "price_m", "year": "price_y"}),
        SubscriptionPlan("single", gives=MONTHLY, stripe_price="price_s"),
        SubscriptionPlan("old", gives=MONTHLY, stripe_price="price_o", archived=True),
        SubscriptionPlan("free", gives=MONTHLY),
    ]
    program = Program(make_user())
    before = stored()
    with configured(SUBSCRIPTION_PLANS=plans):
        answer = program.ask(CHECKOUT, {**order, **URLS})
    body = answer.json()
    assert (answer.status_code, list(body)) == (400, [field])
    assert said in body[field][0]
    assert_nothing_happened(fake, before)


@pytest.mark.parametrize("path", ["/v1/customers", "/v1/checkout/sessions"])
def test_stripe_that_does_not_answer_is_told(fake: FakeStripe, path: str, caplog: Any) -> None:
    program = Program(make_user())
    before = stored()
    with fake.outage(path):
        answer = program.ask(CHECKOUT, STARTER)
    assert (answer.status_code, answer["Content-Type"]) == (503, PROBLEM)
    assert answer.json()["type"].endswith(":checkout-unavailable")
    assert "connection to Stripe" not in answer.content.decode()
    assert "starter cannot be sold" in caplog.text.replace("'", "")
    assert stored() == before
    assert program.ask(CHECKOUT, STARTER).status_code == 201


def test_nothing_is_sold_where_djstripe_is_not_installed(settings: Any) -> None:
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "djstripe"]
    answer = Program(make_user()).ask(CHECKOUT, STARTER)
    assert (answer.status_code, answer["Content-Type"]) == (503, PROBLEM)


def test_session_buys_with_its_token_against_forgery_only(fake: FakeStripe) -> None:
    user = make_user()
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(user)
    before = stored()
    assert browser.post(CHECKOUT, STARTER, format="json").status_code == 403
    assert_nothing_happened(fake, before)
    browser.cookies["csrftoken"] = token = "x" * 32
    answer = browser.post(CHECKOUT, STARTER, format="json", headers={"X-CSRFToken": token})
    assert answer.status_code == 201


def test_nobody_buys_nothing(fake: FakeStripe) -> None:
    before = stored()
    assert Program().ask(CHECKOUT, STARTER).status_code == 403
    assert APIClient().get(CHECKOUT).status_code == 403
    assert_nothing_happened(fake, before)


def test_project_adds_arguments_of_the_session(fake: FakeStripe) -> None:
    class WithCodes(CheckoutView):
        def get_checkout_options(self, offer: Any) -> dict[str, Any]:
            return {"allow_promotion_codes": True, "success_url": "https://evil.test/"}

    request = APIRequestFactory().post("/", STARTER, format="json")
    user: models.Model = make_user()
    force_authenticate(request, user)  # type: ignore[arg-type]
    assert WithCodes.as_view()(request).status_code == 201
    assert sent(fake)["allow_promotion_codes"] in {"true", True}
    assert sent(fake)["success_url"] == URLS["success_url"]

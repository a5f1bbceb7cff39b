from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from djstripe.models import Price
from rest_framework.test import APIRequestFactory, force_authenticate

from tests.app.models import Newcomer, Studio, User
from tests.contrib.rest_framework.asking import Program
from tests.factories import add_lots, configured, make_user, stored
from usage_credits import CreditPack, Operation, SubscriptionPlan, cents, credits, euros
from usage_credits.contrib.rest_framework.offers import EstimateView
from usage_credits.testing import FakeStripe, capture_events

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.contrib.rest_framework.urls")]

ESTIMATE = "/api/credits/estimate/"


def test_packs_show_what_they_award_and_cost() -> None:
    packs = [
        CreditPack("starter", gives=1_000, bonus=100, costs=cents(4_900)),
        CreditPack("big-one", gives=9_000, costs=euros(300), metadata={"secret": "no"}),
    ]
    with configured(CREDIT_PACKS=packs):
        shown = Program(make_user()).get("/api/credits/packs/").json()
    price = {"amount": 4_900, "currency": "usd"}
    starter = {
        "name": "starter",
        "display_name": "Starter pack",
        "credits": 1_000,
        "bonus": 100,
        "total": 1_100,
    }
    assert shown[0] == {**starter, "price": price}
    assert [pack["price"]["currency"] for pack in shown] == ["usd", "eur"]


def test_plans_show_what_is_sold_and_what_it_costs_as_far_as_it_is_known(fake: FakeStripe) -> None:
    Price.sync_from_stripe_data(fake.add_price("price_m", amount=2_900))
    monthly = credits(500).every("month")
    plans = [
        SubscriptionPlan(
            "pro", gives=monthly, stripe_price={"month": "price_m", "year": "price_y"}, signup_bonus=9
        ),
        SubscriptionPlan("team", gives=credits(70).every("2 weeks"), stripe_price="price_t", per_seat=True),
        SubscriptionPlan("free", gives=monthly),
        SubscriptionPlan("old", gives=monthly, stripe_price="price_o", archived=True),
        SubscriptionPlan(
            "roll",
            gives=monthly,
            stripe_price="price_r",
            unused_credits="rollover",
            rollover_cap=50,
            expire_after=timedelta(days=3),
        ),
    ]
    with configured(SUBSCRIPTION_PLANS=plans):
        answer = Program(make_user()).get("/api/credits/plans/")
    pro, team, roll = answer.json()
    assert pro == {
        "name": "pro",
        "credits": 500,
        "every": "P1M",
        "signup_bonus": 9,
        "trial_includes": 0,
        "unused_credits": "expire",
        "rollover_cap": None,
        "per_seat": False,
        "prices": [
            {"period": "month", "price": {"amount": 2_900, "currency": "usd"}, "every": "P1M"},
            {"period": "year", "price": None, "every": "P1Y"},
        ],
    }
    assert (team["every"], team["per_seat"]) == ("P14D", True)
    assert team["prices"] == [{"period": None, "price": None, "every": None}]
    assert (roll["unused_credits"], roll["rollover_cap"]) == ("rollover", 50)
    assert "price_" not in answer.content.decode()


def test_nothing_is_shown_where_nothing_is_sold() -> None:
    program = Program(make_user())
    with configured(CREDIT_PACKS=[], SUBSCRIPTION_PLANS=[]):
        assert program.get("/api/credits/packs/").json() == program.get("/api/credits/plans/").json() == []


@pytest.mark.behaviour("TOK-04", "SPD-01", "SPD-02")
def test_estimate_tells_the_price_and_whether_it_can_be_paid() -> None:
    user = make_user(15)
    program = Program(user)
    before = stored()
    with capture_events() as events:
        covered = program.ask(ESTIMATE, {"operation": "img", "params": {"mb": 5}})
        refused = program.ask(ESTIMATE, {"operation": "img", "params": {"mb": 5.5}}).json()
    assert covered.status_code == 200
    assert covered.json() == {
        "operation": "img",
        "price": 15,
        "available": 15,
        "covered": True,
        "refusal": None,
    }
    assert (refused["price"], refused["available"], refused["covered"]) == (16, 15, False)
    assert refused["refusal"]["status"] == 402
    assert (refused["refusal"]["required"], refused["refusal"]["available"]) == (16, 15)
    assert (stored(), events) == (before, [])


def test_estimate_counts_what_the_operation_may_spend() -> None:
    user = make_user(10)
    user.give_credits(50, scope=["report"])
    program = Program(user)
    assert program.ask(ESTIMATE, {"operation": "report"}).json()["available"] == 60
    assert program.ask(ESTIMATE, {"operation": "mail"}).json()["available"] == 10


def test_estimate_knows_caps_where_the_project_names_the_key() -> None:
    class OfKey(EstimateView):
        def get_attributed_to(self) -> str | None:
            return self.request.headers["X-Api-Key"]

    user = make_user(100)
    user.wallet().set_cap("key_1", 24, every="day")
    request = APIRequestFactory().post("/", {"operation": "report"}, headers={"x-api-key": "key_1"})
    force_authenticate(request, user)
    answer = OfKey.as_view()(request)
    assert (answer.data["covered"], answer.data["refusal"]["status"]) == (False, 429)
    assert answer.data["refusal"]["left"] == 24


def test_estimate_for_owners_without_a_wallet_creates_none() -> None:
    Newcomer.objects.bulk_create([Newcomer(name="ada")])
    before = stored()
    for owner, available in ((Newcomer.objects.get(), 100), (Studio.objects.create(name="a"), 0)):
        request = APIRequestFactory().post("/", {"operation": "report"}, format="json")
        force_authenticate(request, User())
        answer = EstimateView.as_view(owner=lambda request, owner=owner: owner)(request)
        assert (answer.data["available"], answer.data["covered"]) == (available, available > 0)
    assert stored() == before


@pytest.mark.parametrize(
    ("data", "field", "said"),
    [
        ({}, "operation", "required"),
        ({"operation": None}, "operation", "null"),
        ({"operation": ["img"]}, "operation", "string"),
        ({"operation": "x" * 256}, "operation", "255"),
        ({"operation": "teleport"}, "operation", "teleport"),
        ({"operation": "img"}, "params", "mb"),
        ({"operation": "img", "params": [5]}, "params", "dictionary"),
        ({"operation": "img", "params": {"mb": -1}}, "params", "mb"),
        ({"operation": "img", "params": {"mb": "9" * 400}}, "params", "mb"),
        ({"operation": "img", "params": {"mb": [[]]}}, "params", "mb"),
        ({"operation": "img", "params": {"mb": 5, "attributed_to": "key_1"}}, "params", "attributed_to"),
        ({"operation": "img", "params": {"mb": 2**70}}, "params", "2**63 - 1"),
    ],
)
def test_what_cannot_be_estimated_is_named(data: dict[str, Any], field: str, said: str) -> None:
    before = stored()
    answer = Program(make_user(100)).ask(ESTIMATE, data)
    body = answer.json()
    assert (answer.status_code, list(body)) == (400, [field])
    assert said in body[field][0]
    assert len(answer.content) < 500
    before["app.User"] = []
    assert {**stored(), "app.User": []}.keys() == before.keys()


def test_crash_of_a_price_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    with configured(OPERATIONS=[Operation("img", costs=lambda params: params["secret"])]):
        answer = Program(make_user()).ask(ESTIMATE, {"operation": "img"})
    assert answer.json() == {"params": ["The parameters could not be read."]}
    assert "secret" in caplog.text


@pytest.mark.parametrize(
    "body", ["", "{", "[]", '"img"', '{"operation": "img", "params": {"mb": NaN}}', "\x00"]
)
def test_what_is_no_object_of_json_is_refused(body: str) -> None:
    answer = Program(make_user()).generic("POST", ESTIMATE, body, content_type="application/json")
    assert (answer.status_code, isinstance(json.loads(answer.content), dict)) == (400, True)


@pytest.mark.parametrize("credits", [100, 5])
def test_statements_do_not_grow(credits: int, django_assert_max_num_queries: Any) -> None:
    user = make_user(credits)
    program = Program(user)
    counted = []
    for _ in range(3):
        with django_assert_max_num_queries(9) as statements:
            program.ask(ESTIMATE, {"operation": "report"})
        counted.append(len(statements))
        add_lots(user.wallet(), 20, amount=1, expires_in=timedelta(days=-1))
    assert len(set(counted)) == 1

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine

from tests.app.models import User
from tests.factories import configured, days, make_user
from usage_credits import SubscriptionPlan, change_plan, credits, start_plan, stop_plan
from usage_credits.models import Fulfillment
from usage_credits.statements.plans import RunningPlan, running_plans
from usage_credits.testing import StripeWorld

pytestmark = pytest.mark.django_db

START = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
PLANS = [
    SubscriptionPlan("free", gives=credits(50).every("month"), unused_credits="rollover"),
    SubscriptionPlan("basic", gives=credits(20).every("month"), unused_credits="rollover"),
    SubscriptionPlan("pro", stripe_price="price_pro", gives=credits(500).every("month")),
]


@pytest.fixture(autouse=True)
def plans() -> Iterator[None]:
    with configured(SUBSCRIPTION_PLANS=PLANS):
        yield


@pytest.fixture
def clock_start() -> datetime.datetime:
    return START


@pytest.fixture
def user() -> User:
    return make_user()


def running(user: User) -> RunningPlan:
    (plan,) = running_plans(user.find_wallet())
    return plan


def test_plan_without_payment_tells_what_comes_next(user: User, clock: Any) -> None:
    start_plan(user, "free")
    assert running(user) == RunningPlan(
        name="free",
        seats=1,
        is_paid=False,
        next_at=START.replace(month=2),
        next_credits=50,
        ends_at=None,
        trouble="",
    )


def test_plan_that_ends_tells_when_and_is_gone_then(user: User, clock: Any) -> None:
    start_plan(user, "free")
    stop_plan(user, "free", at=START + days(20))
    plan = running(user)
    assert (plan.ends_at, plan.next_at, plan.trouble) == (START + days(20), None, "")
    clock.advance(days=20)
    assert running_plans(user.find_wallet()) == []


def test_plan_tells_the_credits_of_the_plan_that_it_becomes(user: User, clock: Any) -> None:
    start_plan(user, "free")
    change_plan(user, "free", "basic")
    plan = running(user)
    assert (plan.name, plan.next_credits) == ("free", 20)


def test_plan_that_has_gone_from_settings_tells_no_credits(user: User, clock: Any) -> None:
    start_plan(user, "free")
    with configured(SUBSCRIPTION_PLANS=[]):
        assert running(user).next_credits is None


def test_paid_plan_tells_of_the_credits_after_its_next_payment(
    user: User, clock: Any, stripe_world: StripeWorld
) -> None:
    stripe_world.subscribe(user, "pro")
    plan = running(user)
    assert (plan.is_paid, plan.next_at, plan.next_credits) == (True, START.replace(month=2), 500)


def test_paid_plan_in_trouble_is_still_running(user: User, clock: Any, stripe_world: StripeWorld) -> None:
    subscription = stripe_world.subscribe(user, "pro")
    stripe_world.fake.fail_card(subscription["customer"])
    clock.travel(months=1, days=2)
    plan = running(user)
    assert (plan.is_paid, plan.trouble, plan.next_at, plan.ends_at) == (True, "past_due", None, None)


def test_paid_plan_that_is_canceled_is_gone(user: User, clock: Any, stripe_world: StripeWorld) -> None:
    subscription = stripe_world.subscribe(user, "pro")
    stripe_world.fake.cancel(subscription)
    stripe_world.deliver()
    assert running_plans(user.find_wallet()) == []
    assert Fulfillment.objects.exists()


def test_nobody_has_no_plans(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert running_plans(None) == []


def test_plans_take_one_statement(user: User, django_assert_num_queries: Any) -> None:
    with time_machine.travel(START):
        start_plan(user, "free")
        start_plan(user, "basic")
    wallet = user.find_wallet()
    with django_assert_num_queries(1):
        assert [plan.name for plan in running_plans(wallet)] == ["free", "basic"]

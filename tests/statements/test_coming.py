from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import configured, days, make_user
from usage_credits import SubscriptionPlan, credits, start_plan, stop_plan
from usage_credits.statements.coming import ComingEvent, Kind, coming_events
from usage_credits.testing import StripeWorld

pytestmark = pytest.mark.django_db

START = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
PLANS = [
    SubscriptionPlan("free", gives=credits(50).every("month"), unused_credits="rollover"),
    SubscriptionPlan("pro", stripe_price="price_pro", gives=credits(500).every("month")),
]


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as clock:
        yield clock


def seen(events: list[ComingEvent]) -> list[tuple[str, Kind, int | None, str]]:
    return [(f"{event.moment:%m-%d}", event.kind, event.credits, event.name) for event in events]


@pytest.mark.usefixtures("clock")
def test_coming_events_tell_what_comes_expires_and_ends_soonest_first() -> None:
    user = make_user(30)
    user.give_credits(10, expires_at=START + days(9))
    user.give_credits(5, expires_at=START + days(9))
    user.hold_credits_for("report", ttl=days(2))
    with configured(SUBSCRIPTION_PLANS=PLANS):
        start_plan(user, "free")
        assert seen(coming_events(user.wallet(), 4)) == [
            ("01-03", Kind.HOLD_END, 25, "report"),
            ("02-01", Kind.AWARD, 50, "free"),
            ("03-01", Kind.AWARD, 50, "free"),
            ("04-01", Kind.AWARD, 50, "free"),
        ]


@pytest.mark.usefixtures("clock")
def test_coming_events_add_up_what_expires_together() -> None:
    user = make_user(30)
    user.give_credits(10, expires_at=START + days(9))
    user.give_credits(5, expires_at=START + days(9))
    assert seen(coming_events(user.wallet())) == [("01-10", Kind.EXPIRY, -15, "")]


@pytest.mark.usefixtures("clock")
def test_coming_events_tell_when_a_plan_ends_and_nothing_after_it() -> None:
    user = make_user()
    with configured(SUBSCRIPTION_PLANS=PLANS):
        start_plan(user, "free")
        stop_plan(user, "free", at=START + days(40))
        assert seen(coming_events(user.wallet())) == [
            ("02-01", Kind.AWARD, 50, "free"),
            ("02-10", Kind.END, None, "free"),
        ]


def test_coming_events_tell_when_a_paid_plan_is_renewed(stripe_world: StripeWorld) -> None:
    user = make_user()
    with configured(SUBSCRIPTION_PLANS=PLANS):
        stripe_world.subscribe(user, "pro")
        [expiry] = user.wallet().lots.values_list("expires_at", flat=True)
        renewal, end = coming_events(user.wallet())
        assert (renewal.kind, renewal.credits, renewal.name) == (Kind.AWARD, 500, "pro")
        assert (end.kind, end.credits, end.moment) == (Kind.EXPIRY, -500, expiry)
        assert renewal.moment < end.moment


def test_coming_events_leave_out_what_is_over(clock: Any) -> None:
    user = make_user(30)
    user.give_credits(10, expires_at=START + days(1))
    user.hold_credits_for("report", ttl=days(1))
    clock.shift(days(2))
    assert coming_events(user.wallet()) == []


@pytest.mark.usefixtures("clock")
def test_coming_events_tell_no_amount_of_a_plan_that_has_gone_from_settings() -> None:
    user = make_user()
    with configured(SUBSCRIPTION_PLANS=PLANS):
        start_plan(user, "free")
    assert seen(coming_events(user.wallet(), 1)) == [("02-01", Kind.AWARD, None, "free")]


def test_coming_events_take_three_statements_and_no_more_than_asked_for() -> None:
    user = make_user()
    for number in range(1, 30):
        user.give_credits(1, expires_at=START.replace(year=2100) + days(number))
    with CaptureQueriesContext(connection) as statements:
        assert len(coming_events(user.wallet(), 20)) == 20
    assert len(statements) == 4  # one finds the wallet

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.app.models import User
from tests.billing.fulfilling import fulfill
from tests.factories import configured, make_user
from usage_credits import InvalidValue, SubscriptionPlan, credits, start_plan, stop_plan
from usage_credits.ledger.verification import verify
from usage_credits.models import Fulfillment

START = datetime(2026, 1, 31, tzinfo=UTC)
FEBRUARY = datetime(2026, 2, 28, tzinfo=UTC)
MARCH = datetime(2026, 3, 31, tzinfo=UTC)


def capped(cap: int | None, **options: Any) -> SubscriptionPlan:
    gives = credits(1_000).every("month")
    return SubscriptionPlan("kept", gives=gives, unused_credits="rollover", rollover_cap=cap, **options)


@pytest.mark.parametrize(
    ("cap", "left"), [(None, 2_000), (300, 1_300), (0, 1_000), (1_000, 2_000), (5_000, 2_000)]
)
def test_keep_unused_credits_up_to_the_cap(user: User, cap: int | None, left: int) -> None:
    with configured(SUBSCRIPTION_PLANS=[capped(cap)]), time_machine.travel(START, tick=False) as clock:
        start_plan(user, "kept")
        clock.move_to(FEBRUARY)
        fulfill()
        assert user.credits == left
        assert list(verify()) == []


def test_cap_counts_what_is_left_of_all_earlier_cycles(user: User) -> None:
    with configured(SUBSCRIPTION_PLANS=[capped(1_500)]), time_machine.travel(START, tick=False) as clock:
        start_plan(user, "kept")
        clock.move_to(FEBRUARY)
        fulfill()
        user.spend_credits_on("report")
        assert user.credits == 1_975
        clock.move_to(MARCH)
        fulfill()
        assert user.credits == 2_500
        excess = user.credit_history.of_category("rollover_excess").get()
        assert (excess.amount, excess.metadata["rollover_cap"]) == (-475, 1_500)
        assert list(verify()) == []


def test_cap_takes_nothing_but_the_cycles_of_its_plan(user: User) -> None:
    plans = [capped(0, signup_bonus=100), SubscriptionPlan("other", gives=credits(7).every("year"))]
    with configured(SUBSCRIPTION_PLANS=plans), time_machine.travel(START, tick=False) as clock:
        user.give_credits(50)
        start_plan(user, "other")
        start_plan(user, "kept")
        clock.move_to(FEBRUARY)
        fulfill()
        assert user.credits == 50 + 7 + 100 + 1_000
        assert list(verify()) == []


def test_second_run_and_end_forfeit_nothing(user: User) -> None:
    with configured(SUBSCRIPTION_PLANS=[capped(300)]), time_machine.travel(START, tick=False) as clock:
        start_plan(user, "kept")
        clock.move_to(FEBRUARY)
        fulfill()
        fulfill()
        stop_plan(user, "kept")
        clock.shift(timedelta(days=90))
        fulfill()
        assert user.credits == 1_300


@pytest.mark.parametrize("cap", [-1, 1.5, True, "300"])
def test_refuse_cap_that_is_no_number_of_credits(cap: Any) -> None:
    with pytest.raises(InvalidValue) as refusal:
        capped(cap)
    assert refusal.value.field == "rollover_cap"


def test_refuse_cap_where_unused_credits_expire() -> None:
    with pytest.raises(InvalidValue, match="rollover_cap"):
        SubscriptionPlan("gone", gives=credits(5).every("month"), rollover_cap=3)


def test_credits_of_a_plan_for_some_operations_only(user: User) -> None:
    plan = capped(300, signup_bonus=100, priority=-1, scope=["report", "mail"])
    with configured(SUBSCRIPTION_PLANS=[plan]), time_machine.travel(START, tick=False) as clock:
        user.give_credits(50)
        fulfillment = start_plan(user, "kept")
        assert fulfillment.as_sold["scope"] == ["mail", "report"]
        assert [(lot.priority, lot.scope) for lot in user.wallet().lots.order_by("pk")] == [
            (0, None),
            (-1, ("mail", "report")),
            (-1, ("mail", "report")),
        ]
        clock.move_to(FEBRUARY)
        fulfill()
        assert (user.credits_for("report"), user.credits_for("img")) == (1_450, 50)
        stop_plan(user, "kept")
        assert list(verify()) == []


@pytest.mark.django_db
def test_batch_reads_the_cycles_of_all_capped_plans_at_once() -> None:
    def run(number: int) -> int:
        with time_machine.travel(START, tick=False) as clock:
            owners = [make_user() for _ in range(number)]
            for owner in owners:
                start_plan(owner, "kept")
            clock.move_to(FEBRUARY)
            with CaptureQueriesContext(connection) as statements:
                assert fulfill().awarded == number
            assert [owner.credits for owner in owners] == [1_300] * number
            Fulfillment.objects.update(next_fulfillment_at=None)
        return len(statements)

    with configured(SUBSCRIPTION_PLANS=[capped(300)]):
        assert run(60) == run(30)
    assert list(verify()) == []

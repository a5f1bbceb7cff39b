from __future__ import annotations

import datetime
from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from tests import bad_values
from tests.app.models import Studio, Team, User
from tests.billing.fulfilling import GRACE, START, amounts_awarded, at, fulfill, rows_of
from tests.factories import (
    NewcomerFactory,
    StudioFactory,
    TeamFactory,
    configured,
    make_user,
    stored,
)
from usage_credits import (
    InvalidValue,
    SubscriptionPlan,
    UsageCreditsError,
    change_plan,
    credits,
    find_subscription_plan,
    keep_plan,
    start_plan,
    stop_plan,
)
from usage_credits.ledger.verification import verify
from usage_credits.models import Fulfillment, Lot, Transaction
from usage_credits.signals import EventContext
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db

FREE = SubscriptionPlan("free", gives=credits(100).every("month"))
KEPT = SubscriptionPlan("kept", gives=credits(100).every("month"), unused_credits="rollover", signup_bonus=10)
LASTS = SubscriptionPlan(
    "lasts", gives=credits(50).every("month"), unused_credits="rollover", expire_after=timedelta(30)
)
LATE = SubscriptionPlan("late", gives=credits(70).every("month"), expire_after=timedelta(60))
AT_ONCE = SubscriptionPlan(
    "at_once", gives=credits(50).every("month"), unused_credits="rollover", expire_after=0
)
ONCE = SubscriptionPlan("once", gives=credits(5).every("month"), signup_bonus=100, bonus_once=True)
WEEKLY = SubscriptionPlan("weekly", gives=credits(7).every("week"))
SEATS = SubscriptionPlan("seats", gives=credits(10).every("month"), per_seat=True)
PRO = SubscriptionPlan("pro", gives=credits(500).every("month"), signup_bonus=100, stripe_price="price_pro")
SAME = SubscriptionPlan("same", gives=credits(500).every("month"), signup_bonus=1)
ULTRA = SubscriptionPlan("ultra", gives=credits(5_000).every("month"))
PENDING = SubscriptionPlan("pending", gives=credits(50).every("month"))
OLD = SubscriptionPlan("old", gives=credits(5).every("month"), archived=True)
PLANS = [FREE, KEPT, LASTS, LATE, AT_ONCE, ONCE, WEEKLY, SEATS, PRO, SAME, ULTRA, PENDING, OLD]


class Plan(StrEnum):
    FREE = "free"


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with configured(SUBSCRIPTION_PLANS=PLANS), time_machine.travel(START, tick=False) as clock:
        yield clock


def awarded(events: list[EventContext]) -> list[tuple[int | None, str | None]]:
    return [
        (context.amount, context.reason)
        for context in events
        if context.event == "subscription_credits_awarded"
    ]


@pytest.mark.behaviour("DEC-07")
@pytest.mark.parametrize("factory", [make_user, TeamFactory.create, StudioFactory.create])
@pytest.mark.parametrize("plan", ["pro", PRO])
def test_start_awards_bonus_and_first_cycle(factory: Any, plan: Any) -> None:
    owner = factory()
    with capture_events() as events:
        fulfillment = start_plan(owner, plan, metadata={"by": "ada"})
    bonus, cycle = rows_of(fulfillment)
    assert [(row.amount, row.category, row.expires_at, row.grid_date) for row in (bonus, cycle)] == [
        (100, "subscription_signup_bonus", None, None),
        (500, "subscription_credits", at(2, 28) + GRACE, START),
    ]
    assert {row.metadata["by"] for row in (bonus, cycle)} == {"ada"}
    assert owner.credits == 600
    assert awarded(events) == [(600, "first_award")]
    assert events[-1].metadata is not None
    assert events[-1].metadata["is_reactivation"] is False
    fulfillment.refresh_from_db()
    assert (fulfillment.source, fulfillment.source_id, fulfillment.kind) == ("manual", None, "subscription")
    assert (fulfillment.plan_name, fulfillment.period, fulfillment.credits_last_awarded) == (
        "pro",
        "P1M",
        600,
    )
    assert (fulfillment.anchor, fulfillment.last_fulfilled_at) == (START, START)
    assert (fulfillment.next_fulfillment_at, fulfillment.stops_at) == (at(2, 28), None)
    assert (fulfillment.is_recurring, fulfillment.is_active) == (True, True)
    assert owner.credit_subscriptions == [PRO]
    assert list(verify()) == []


@pytest.mark.behaviour("DEC-06")
def test_cycles_follow_on_the_dates_of_the_start(clock: time_machine.Traveller) -> None:
    fulfillment = start_plan(make_user(), Plan.FREE)
    for moment in (at(2, 28), at(3, 31, 17), at(4, 30)):
        clock.move_to(moment)
        assert fulfill().awarded == 1
    assert [row.grid_date for row in rows_of(fulfillment)] == [START, at(2, 28), at(3, 31), at(4, 30)]
    fulfillment.refresh_from_db()
    assert fulfillment.next_fulfillment_at == at(5, 31)


@pytest.mark.parametrize("plan", ["free", "pro", "kept"])
def test_start_again_awards_nothing(plan: str) -> None:
    user = make_user()
    first = start_plan(user, plan)
    before = stored()
    assert start_plan(user, plan, ends_at=at(12, 1), seats=3) == first
    assert stored() == before


def test_start_again_after_a_stop_is_another_fulfillment(clock: time_machine.Traveller) -> None:
    user = make_user()
    first = start_plan(user, "pro")
    assert stop_plan(user, "pro") == first
    clock.shift(60)
    second = start_plan(user, "pro")
    assert second != first
    assert (amounts_awarded(first), amounts_awarded(second)) == ([100, 500], [100, 500])
    assert user.credit_subscriptions == [PRO]


def test_give_the_bonus_of_a_plan_once_where_it_says_so() -> None:
    user, other = make_user(), make_user()
    fulfillments = []
    for _ in range(3):
        fulfillments.append(start_plan(user, "once"))
        stop_plan(user, "once")
    assert [amounts_awarded(one) for one in fulfillments] == [[100, 5], [5], [5]]
    assert amounts_awarded(start_plan(other, "once")) == [100, 5]


def test_start_to_come_waits_for_the_job(clock: time_machine.Traveller) -> None:
    user = make_user()
    fulfillment = start_plan(user, "kept", starts_at=at(2, 10))
    assert (user.credits, user.credit_subscriptions) == (0, [])
    assert start_plan(user, "kept") == fulfillment
    assert fulfill().awarded == 0
    clock.move_to(at(2, 10, 12))
    assert user.credit_subscriptions == [KEPT]
    with capture_events() as events:
        assert fulfill().credits == 110
    assert awarded(events) == [(110, "first_award")]
    assert [(row.amount, row.grid_date) for row in rows_of(fulfillment)] == [(10, None), (100, at(2, 10))]
    clock.move_to(at(3, 10, 12))
    assert (fulfill().credits, user.credits) == (100, 210)


@pytest.mark.behaviour("DEC-15")
def test_start_in_the_past_counts_from_there() -> None:
    user = make_user()
    with capture_events() as events:
        kept = start_plan(user, "kept", starts_at=datetime.date(2025, 11, 15))
        running = start_plan(user, "free", starts_at=datetime.date(2025, 11, 15))
    dates = [at(month, 15, 0, year=year) for year, month in ((2025, 11), (2025, 12), (2026, 1))]
    assert [row.grid_date for row in rows_of(kept)] == [None, *dates]
    assert [row.grid_date for row in rows_of(running)] == dates[-1:]
    assert awarded(events) == [(310, "first_award"), (100, "first_award")]
    assert kept.next_fulfillment_at == running.next_fulfillment_at == at(2, 15, 0)
    assert fulfill().awarded == 0


def test_no_date_from_the_end_on_is_awarded(clock: time_machine.Traveller) -> None:
    user = make_user()
    fulfillment = start_plan(user, "lasts", ends_at=at(3, 31))
    clock.move_to(at(6, 1))
    assert user.credit_subscriptions == []
    assert fulfill().awarded == 1
    assert [row.grid_date for row in rows_of(fulfillment)] == [START, at(2, 28)]
    fulfillment.refresh_from_db()
    assert (fulfillment.stop_reason, fulfillment.next_fulfillment_at) == ("stopped", None)


def test_end_that_passes_lets_credits_expire_as_the_plan_says(clock: time_machine.Traveller) -> None:
    user = make_user(7)
    start_plan(user, "lasts", ends_at=at(2, 10))
    start_plan(user, "at_once", ends_at=at(2, 10))
    start_plan(user, "kept", ends_at=at(2, 10))
    clock.move_to(at(2, 10))
    fulfill()
    assert user.credits == 7 + 50 + 110
    before = stored()
    fulfill()
    assert stored() == before
    clock.move_to(at(3, 12))
    assert user.credits == 7 + 110
    assert list(verify()) == []


@pytest.mark.behaviour("PLN-13", "PLN-14")
@pytest.mark.parametrize(
    ("plan", "left"), [("kept", [117, 117, 117]), ("lasts", [57, 57, 7]), ("at_once", [7, 7, 7])]
)
def test_stop_lets_credits_expire_as_the_plan_says(
    clock: time_machine.Traveller, plan: str, left: list[int]
) -> None:
    user = make_user(7)
    start_plan(user, plan)
    clock.move_to(at(2, 10))
    stopped = stop_plan(user, plan)
    assert stopped is not None
    assert (stopped.stops_at, stopped.stop_reason, stopped.next_fulfillment_at) == (
        at(2, 10),
        "stopped",
        None,
    )
    seen = []
    for moment in (at(2, 10), at(3, 12) - timedelta(microseconds=1), at(3, 12)):
        clock.move_to(moment)
        seen.append(user.credits)
    assert (seen, fulfill().awarded) == (left, 0)
    assert list(verify()) == []


@pytest.mark.behaviour("TOK-21")
def test_stop_where_nothing_runs_does_nothing(clock: time_machine.Traveller) -> None:
    user, studio = make_user(), StudioFactory.create()
    assert stop_plan(user, "free") is None
    assert stop_plan(studio, "free") is None
    assert keep_plan(studio, "free") is None
    start_plan(user, "free")
    start_plan(user, "kept")
    assert stop_plan(user, "free") is not None
    clock.shift(60)
    before = stored()
    assert stop_plan(user, "free") is None
    assert keep_plan(user, "free") is None
    assert stored() == before
    assert user.credit_subscriptions == [KEPT]


def test_stop_awards_first_what_was_due(clock: time_machine.Traveller) -> None:
    user = make_user()
    fulfillment = start_plan(user, "kept")
    clock.move_to(at(4, 1))
    with capture_events() as events:
        stop_plan(user, "kept")
    assert [row.grid_date for row in rows_of(fulfillment)] == [None, START, at(2, 28), at(3, 31)]
    assert len(awarded(events)) == 2
    assert fulfill().awarded == 0


def test_stop_to_come_can_be_moved_and_taken_back(clock: time_machine.Traveller) -> None:
    user = make_user()
    fulfillment = start_plan(user, "at_once")
    for moment in (at(3, 1), at(3, 1), datetime.date(2026, 2, 20)):
        stopping = stop_plan(user, "at_once", at=moment)
        assert stopping == fulfillment
    fulfillment.refresh_from_db()
    assert (fulfillment.stops_at, fulfillment.is_active) == (at(2, 20, 0), True)
    assert user.credit_subscriptions == [AT_ONCE]
    clock.move_to(at(2, 19))
    assert keep_plan(user, "at_once") == fulfillment
    clock.move_to(at(2, 28))
    assert fulfill().awarded == 1
    assert user.credits == 100
    stop_plan(user, "at_once", at=at(2, 1))
    assert (user.credits, user.credit_subscriptions) == (0, [])


def test_job_ends_stopped_plans_in_batches(clock: time_machine.Traveller) -> None:
    users = [make_user() for _ in range(5)]
    for user in users:
        start_plan(user, "at_once", ends_at=at(2, 10))
        start_plan(user, "kept")
    weekly = start_plan(users[0], "weekly", ends_at=at(2, 15))
    clock.move_to(at(2, 20))
    with configured(SUBSCRIPTION_PLANS=[plan for plan in PLANS if plan != WEEKLY]):
        assert fulfill(batch_size=2).failed == 1
    assert [user.credits for user in users] == [110] * 5
    assert Fulfillment.objects.filter(next_fulfillment_at=None).count() == 5
    assert fulfill().awarded == 1
    assert [row.grid_date for row in rows_of(weekly)] == [START, at(2, 14)]
    assert Fulfillment.objects.filter(next_fulfillment_at=None).count() == 6
    assert list(verify()) == []


def test_stop_that_passed_unnoticed_is_ended_by_the_next_start(clock: time_machine.Traveller) -> None:
    user = make_user()
    first = start_plan(user, "at_once", ends_at=at(3, 1))
    clock.move_to(at(5, 1))
    second = start_plan(user, "at_once")
    assert second != first
    assert (amounts_awarded(first), amounts_awarded(second), user.credits) == ([50, 50], [50], 50)
    first.refresh_from_db()
    assert first.next_fulfillment_at is None


def test_stop_before_the_start_awards_nothing(clock: time_machine.Traveller) -> None:
    user = make_user()
    start_plan(user, "kept", starts_at=at(3, 1))
    assert stop_plan(user, "kept") is not None
    clock.move_to(at(4, 1))
    assert (fulfill().awarded, user.credits) == (0, 0)


def test_stop_a_plan_that_has_gone_from_settings() -> None:
    user = make_user()
    start_plan(user, "free")
    with configured(SUBSCRIPTION_PLANS=[]):
        assert stop_plan(user, FREE) is not None
        with pytest.raises(InvalidValue) as refusal:
            stop_plan(user, "free")
    assert refusal.value.field == "plan"


def test_archived_plan_goes_on_and_is_not_started(clock: time_machine.Traveller) -> None:
    user = make_user()
    start_plan(user, "free")
    archived = SubscriptionPlan("free", gives=credits(100).every("month"), archived=True)
    with configured(SUBSCRIPTION_PLANS=[archived]):
        for owner in (user, make_user()):
            with pytest.raises(InvalidValue, match="archived") as refusal:
                start_plan(owner, "free")
            assert refusal.value.field == "plan"
        clock.move_to(at(2, 28))
        assert fulfill().awarded == 1
        assert user.credit_subscriptions == [archived]
    assert Fulfillment.objects.count() == 1


def test_change_to_a_larger_plan_awards_at_once(clock: time_machine.Traveller) -> None:
    user = make_user()
    fulfillment = start_plan(user, "free", ends_at=at(12, 1))
    clock.move_to(at(2, 10))
    with capture_events() as events:
        assert change_plan(user, "free", "pro") == fulfillment
    assert awarded(events) == [(500, "plan_upgrade")]
    assert amounts_awarded(fulfillment) == [100, 500]
    fulfillment.refresh_from_db()
    assert (fulfillment.plan_name, fulfillment.next_fulfillment_at) == ("pro", at(3, 10))
    assert (fulfillment.pending_plan, fulfillment.stops_at) == ("", at(12, 1))
    before = stored()
    assert change_plan(user, "free", "pro") == fulfillment
    assert stored()["usage_credits.Transaction"] == before["usage_credits.Transaction"]
    assert user.credit_subscriptions == [PRO]


def test_change_to_a_smaller_plan_waits_for_the_next_date(clock: time_machine.Traveller) -> None:
    user = make_user()
    fulfillment = start_plan(user, "pro")
    clock.move_to(at(2, 10))
    for _ in range(2):
        assert change_plan(user, "pro", "free") == fulfillment
    fulfillment.refresh_from_db()
    assert (fulfillment.plan_name, fulfillment.pending_plan) == ("pro", "free")
    assert fulfillment.pending_from == at(2, 28)
    assert start_plan(user, "free") == fulfillment
    clock.move_to(at(3, 1))
    fulfill()
    assert amounts_awarded(fulfillment) == [100, 500, 100]
    assert user.credit_subscriptions == [FREE]
    fulfillment.refresh_from_db()
    assert (fulfillment.plan_name, fulfillment.next_fulfillment_at) == ("free", at(3, 31))


def test_change_is_taken_back_by_the_same_plan(clock: time_machine.Traveller) -> None:
    user = make_user()
    fulfillment = start_plan(user, "pro")
    change_plan(user, "pro", "free")
    assert change_plan(user, "pro", "pro").pending_plan == ""
    clock.move_to(at(2, 28))
    fulfill()
    assert amounts_awarded(fulfillment) == [100, 500, 500]


def test_change_to_a_plan_of_the_same_size_awards_nothing(clock: time_machine.Traveller) -> None:
    user = make_user()
    fulfillment = start_plan(user, "pro")
    change_plan(user, "pro", "same")
    assert (amounts_awarded(fulfillment), user.credit_subscriptions) == ([100, 500], [SAME])
    clock.move_to(at(2, 28))
    fulfill()
    assert amounts_awarded(fulfillment) == [100, 500, 500]


def test_change_before_the_start_replaces_the_plan(clock: time_machine.Traveller) -> None:
    user = make_user()
    fulfillment = start_plan(user, "free", starts_at=at(2, 10))
    change_plan(user, "free", "pro")
    assert (user.credits, amounts_awarded(fulfillment)) == (0, [])
    change_plan(user, "pro", "weekly")
    clock.move_to(at(2, 17, 11))
    fulfill()
    assert [(row.amount, row.grid_date) for row in rows_of(fulfillment)] == [(7, at(2, 17))]


def test_change_from_a_plan_that_has_gone_from_settings(clock: time_machine.Traveller) -> None:
    user = make_user()
    fulfillment = start_plan(user, "pro")
    with configured(SUBSCRIPTION_PLANS=[KEPT]):
        clock.move_to(at(4, 1))
        assert fulfill().failed == 1
        change_plan(user, "pro", "kept")
    assert amounts_awarded(fulfillment) == [100, 500, 100, 100]
    fulfillment.refresh_from_db()
    assert (fulfillment.last_error, fulfillment.next_fulfillment_at) == ("", at(4, 30))


@pytest.mark.behaviour("PLN-15")
def test_seats_count_where_the_plan_says_so(clock: time_machine.Traveller) -> None:
    user = make_user()
    fulfillment = start_plan(user, "seats", seats=3)
    assert amounts_awarded(start_plan(user, "free", seats=3)) == [100]
    change_plan(user, "seats", "seats", seats=5)
    change_plan(user, "seats", "seats")
    change_plan(user, "seats", "seats", seats=4)
    assert amounts_awarded(fulfillment) == [30, 20]
    clock.move_to(at(2, 28))
    fulfill()
    assert amounts_awarded(fulfillment) == [30, 20, 40]


def test_change_of_what_does_not_run_or_runs_beside_is_refused() -> None:
    user, studio = make_user(), StudioFactory.create()
    for running in ("free", "kept", "ultra"):
        start_plan(user, running)
    change_plan(user, "ultra", "pending")
    before = stored()
    for owner, plan, to, field in [
        (user, "pro", "same", "plan"),
        (studio, "pro", "free", "plan"),
        (user, "same", "pending", "plan"),
        (user, "free", "kept", "to"),
        (user, "kept", "pending", "to"),
        (user, "free", "old", "to"),
        (user, "free", "no_such_plan", "to"),
    ]:
        with pytest.raises(InvalidValue) as refusal:
            change_plan(owner, plan, to)
        assert refusal.value.field == field
    assert stored() == before


@pytest.mark.parametrize(
    "plan", ["no_such_plan", "FREE", "", None, 5, [], {}, object(), credits(5)], ids=repr
)
def test_unknown_plan_is_refused(plan: Any) -> None:
    studio = StudioFactory.create()
    before = stored()
    for call in (start_plan, stop_plan, keep_plan):
        with pytest.raises(InvalidValue) as refusal:
            call(studio, plan)
        assert refusal.value.field == "plan"
        assert "allowed is" in str(refusal.value)
    assert stored() == before


def test_plan_that_differs_from_settings_is_refused() -> None:
    other = SubscriptionPlan("free", gives=credits(101).every("month"))
    with pytest.raises(InvalidValue, match="SUBSCRIPTION_PLANS"):
        start_plan(make_user(), other)
    assert not Transaction.objects.exists()


def test_unsaved_owner_is_refused() -> None:
    before = stored()
    for owner in (User(username="ada"), Team(name="unsaved, with a key")):
        for call in (start_plan, stop_plan, keep_plan):
            with pytest.raises(InvalidValue, match="unsaved") as refusal:
                call(owner, "free")
            assert refusal.value.field == "owner"
        with pytest.raises(InvalidValue, match="unsaved"):
            change_plan(owner, "free", "pro")
    assert stored() == before


@pytest.mark.parametrize("field", ["starts_at", "ends_at"])
@pytest.mark.parametrize(
    "moment",
    [datetime.datetime(2999, 1, 1), "2999-01-01", 5, True, timedelta(days=1), bad_values.EXPIRIES[-1]],
    ids=bad_values.named,
)
def test_start_refuses_what_is_no_moment(field: str, moment: Any) -> None:
    studio = StudioFactory.create()
    before = stored()
    with pytest.raises(InvalidValue) as refusal:
        start_plan(studio, "free", **{field: moment})
    assert refusal.value.field == field
    with pytest.raises(InvalidValue) as refusal:
        stop_plan(studio, "free", at=moment)
    assert refusal.value.field == "at"
    assert stored() == before


@pytest.mark.parametrize(
    ("starts_at", "ends_at"),
    [(None, START), (None, at(1, 1)), (at(3, 1), at(3, 1)), (at(3, 1), at(2, 1)), (at(1, 1), at(1, 20))],
)
def test_start_refuses_an_end_that_is_not_to_come(starts_at: Any, ends_at: Any) -> None:
    studio = StudioFactory.create()
    before = stored()
    with capture_events() as events, pytest.raises(InvalidValue) as refusal:
        start_plan(studio, "free", starts_at=starts_at, ends_at=ends_at)
    assert (refusal.value.field, events) == ("ends_at", [])
    assert stored() == before


@pytest.mark.parametrize("seats", [0, -1, 1.0, True, "2", None, 2**31, 10**5000], ids=bad_values.named)
def test_start_refuses_what_is_no_number_of_seats(seats: Any) -> None:
    with pytest.raises(InvalidValue) as refusal:
        start_plan(make_user(), "free", seats=seats)
    assert refusal.value.field == "seats"
    assert not Fulfillment.objects.exists()


@pytest.mark.parametrize("metadata", bad_values.METADATA, ids=bad_values.named)
def test_start_refuses_metadata_that_json_cannot_hold(metadata: Any) -> None:
    with pytest.raises(InvalidValue) as refusal:
        start_plan(make_user(), "free", metadata=metadata)
    assert refusal.value.field == "metadata"
    assert not Fulfillment.objects.exists()


def test_refusal_of_the_ledger_leaves_nothing_and_a_usable_transaction() -> None:
    user = make_user(2**63 - 200)
    before = stored()
    with capture_events() as events, transaction.atomic():
        with pytest.raises(UsageCreditsError):
            start_plan(user, "pro")
        assert User.objects.count() == 1
    assert stored() == before
    assert events == []
    start_plan(user, "free")
    before = stored()
    with pytest.raises(UsageCreditsError):
        change_plan(user, "free", "pro")
    assert stored() == before


def test_caller_that_rolls_back_takes_the_plan_with_it() -> None:
    user = make_user()
    before = stored()
    with capture_events() as events, transaction.atomic():
        start_plan(user, "pro")
        transaction.set_rollback(True)
    assert (stored(), events) == (before, [])


def test_start_takes_a_number_of_statements_that_does_not_grow() -> None:
    def statements(owner: Any) -> int:
        with CaptureQueriesContext(connection) as captured:
            start_plan(owner, "pro")
        return len(captured)

    start_plan(make_user(), "pro")
    fresh, busy = make_user(), make_user()
    for _ in range(30):
        busy.give_credits(1)
        start_plan(busy, "kept")
        stop_plan(busy, "kept")
    for plan in ("free", "weekly", "seats", "same"):
        start_plan(busy, plan)
    assert statements(fresh) == statements(busy) <= 14


@pytest.mark.behaviour("WAL-27")
def test_subscriptions_are_the_plans_that_have_not_stopped(clock: time_machine.Traveller) -> None:
    user, newcomer = make_user(), NewcomerFactory.create()
    assert (user.credit_subscriptions, Studio(name="unsaved").credit_subscriptions) == ([], [])
    assert StudioFactory.create().credit_subscriptions == []
    start_plan(user, "free")
    start_plan(user, "pro", ends_at=at(2, 10))
    start_plan(user, "kept")
    start_plan(newcomer, "kept")
    assert user.credit_subscriptions == [FREE, PRO, KEPT]
    stop_plan(user, "free")
    assert user.credit_subscriptions == [PRO, KEPT]
    with configured(SUBSCRIPTION_PLANS=[PRO]):
        assert user.credit_subscriptions == [find_subscription_plan("pro")]
        assert newcomer.credit_subscriptions == []
    clock.move_to(at(2, 10))
    assert user.credit_subscriptions == [KEPT]


@pytest.mark.behaviour("PLN-14")
def test_stop_touches_no_other_credits_and_prolongs_none(clock: time_machine.Traveller) -> None:
    user = make_user(5)
    start_plan(user, "lasts")
    start_plan(user, "kept")
    start_plan(user, "late")
    user.wallet().debit(20)
    user.wallet().credit(50)
    clock.move_to(at(2, 1))
    for plan in ("lasts", "late"):
        stop_plan(user, plan)
    end = at(2, 1) + timedelta(30)
    expiries = [lot.expires_at for lot in Lot.objects.order_by("pk")]
    assert expiries == [None, end, None, None, at(2, 28) + GRACE, None]
    seen = []
    for moment in (at(2, 1), at(2, 28) + GRACE, end):
        clock.move_to(moment)
        seen.append(user.credits)
    assert seen == [265, 215, 165]
    assert list(verify()) == []

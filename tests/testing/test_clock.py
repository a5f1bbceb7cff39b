from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core.management import CommandError
from django.utils import timezone

from tests.app.models import User
from tests.factories import amounts_of, configured, days, make_user
from usage_credits import SubscriptionPlan, credits, start_grant, start_plan
from usage_credits.models import Transaction
from usage_credits.testing import CapturedEvents, StoppedClock, StripeWorld, stop_clock

START = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


@pytest.fixture
def clock_start() -> datetime:
    return START


@pytest.fixture
def user(db: None) -> User:
    return make_user()


def when(user: User) -> list[tuple[datetime, int]]:
    return [(row.created_at, row.amount) for row in user.credit_history.order_by("pk")]


def test_clock_stands_still_until_moved(clock: StoppedClock) -> None:
    assert clock.now == timezone.now() == timezone.now() == START
    clock.advance(months=1)
    assert timezone.now() == datetime(2026, 2, 28, 9, 30, tzinfo=UTC)
    clock.advance(days=1, hours=2, minutes=0.5)
    assert clock.now == datetime(2026, 3, 1, 11, 30, 30, tzinfo=UTC)
    clock.move_to(date(2026, 3, 2))
    assert clock.now == datetime(2026, 3, 2, tzinfo=UTC)
    clock.move_to(datetime(2026, 3, 2, 1, tzinfo=ZoneInfo("Europe/Berlin")) + timedelta(hours=1))
    assert clock.now == datetime(2026, 3, 2, 1, tzinfo=UTC)


def test_stop_clock_at_the_present() -> None:
    before = timezone.now()
    with stop_clock() as clock:
        stopped_at = clock.now
        assert before <= stopped_at == timezone.now()
    assert timezone.now() > stopped_at


def test_clock_refuses_to_go_back_and_what_is_no_moment(clock: StoppedClock) -> None:
    with pytest.raises(ValueError, match="only moves forward"):
        clock.move_to(START - days(1))
    with pytest.raises(ValueError, match="only moves forward"):
        clock.travel(days=-1)
    with pytest.raises(ValueError, match="naive"):
        clock.move_to(datetime(2026, 3, 1))
    # To dateutil, "month" is one of the calendar.
    with pytest.raises(TypeError, match="got month, allowed is years, months"):
        clock.advance(month=1)  # type: ignore[call-arg]
    assert clock.now == START


def test_advance_alone_awards_and_books_nothing(clock: StoppedClock, user: User) -> None:
    start_grant(user, credits(100).every("month"))
    clock.advance(months=1, minutes=10)
    assert user.credits == 0
    assert amounts_of(user.wallet()) == [100]
    clock.run_jobs()
    assert user.credits == 100
    assert sorted(amounts_of(user.wallet())) == [-100, 100, 100]


def test_travel_awards_on_each_grid_date(clock: StoppedClock, user: User) -> None:
    start_grant(user, credits(100).every("month"), unused_credits="rollover")
    clock.travel(months=3)
    assert when(user) == [
        (START, 100),
        (START.replace(month=2, day=28), 100),
        (START.replace(month=3), 100),
        (START.replace(month=4, day=30), 100),
    ]
    assert clock.now == START.replace(month=4, day=30)


def test_travel_books_expiries_and_ends_plans_at_their_moments(
    clock: StoppedClock, user: User, credit_events: CapturedEvents
) -> None:
    start_grant(user, credits(100).every("week"), ends_at=START + days(10))
    user.give_credits(7, expires_at=START + days(2))
    credit_events.clear()
    clock.travel_to(START + days(30))
    assert when(user) == [
        (START, 100),
        (START, 7),
        (START + days(2), -7),
        (START + days(7), 100),
        (START + days(7) + timedelta(minutes=5), -100),
        (START + days(14) + timedelta(minutes=5), -100),
    ]
    assert credit_events.names.count("credits_expired") == 3


def test_travel_starts_with_what_is_due_already(clock: StoppedClock, user: User) -> None:
    user.give_credits(5, expires_at=START + days(1))
    clock.advance(days=2)
    clock.travel(hours=1)
    assert when(user) == [(START, 5), (START + days(2), -5)]


def test_travel_says_that_an_award_failed(clock: StoppedClock, user: User) -> None:
    plan = SubscriptionPlan("club", gives=credits(10).every("month"))
    with configured(SUBSCRIPTION_PLANS=[plan]):
        start_plan(user, "club")
    with pytest.raises(CommandError, match="1 fulfillment failed"):
        clock.travel(months=1)


def test_advance_lets_stripe_renew_and_tell(
    clock: StoppedClock, stripe_world: StripeWorld, user: User
) -> None:
    stripe_world.subscribe(user, "pro")
    assert user.credits == 600
    clock.advance(months=1, hours=2, deliver=False)
    assert user.credits == 100
    assert "invoice.paid" in {event["type"] for event in stripe_world.fake.pending}
    stripe_world.deliver()
    assert user.credits == 600
    clock.advance(days=40)
    assert stripe_world.fake.pending == []
    assert user.credits == 600
    assert amounts_of(user.wallet()).count(500) == 3


def test_travel_hears_of_each_renewal_when_it_happens(
    clock: StoppedClock, stripe_world: StripeWorld, user: User
) -> None:
    stripe_world.subscribe(user, "roll")
    stripe_world.fake.advance(timedelta(hours=1))
    clock.travel(months=3, days=1)
    awards = Transaction.objects.filter(amount=1_000).order_by("pk").values_list("created_at", flat=True)
    assert [moment.date() for moment in awards] == [
        date(2026, 1, 31),
        date(2026, 2, 28),
        date(2026, 3, 31),
        date(2026, 4, 30),
    ]
    paid = [event["created"] for event in stripe_world.fake.events if event["type"] == "invoice.paid"]
    assert len(paid) == 4

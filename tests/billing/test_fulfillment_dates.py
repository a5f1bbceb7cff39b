from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.test import override_settings

from tests.app.models import User
from tests.billing.fulfilling import (
    GRACE,
    START,
    amounts_awarded,
    at,
    dates_awarded,
    fulfill,
    make_grant,
    make_subscription,
    rows_of,
)
from tests.billing.subscribing import PRICES, fulfillment_of, subscribe
from tests.factories import configured, make_wallet
from usage_credits import SubscriptionPlan, credits
from usage_credits.billing.fulfillment import Fulfilled
from usage_credits.ledger.verification import verify
from usage_credits.models import Fulfillment
from usage_credits.testing import FakeStripe

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as clock:
        yield clock


@pytest.mark.behaviour("DEC-06", "FUL-16")
@pytest.mark.parametrize("late", [timedelta(0), timedelta(minutes=4), timedelta(days=3)], ids=str)
def test_late_job_never_moves_the_grid(late: timedelta, clock: time_machine.Traveller) -> None:
    fulfillment = make_subscription(make_wallet())
    dates = [START, at(2, 28), at(3, 31), at(4, 30), at(5, 31)]
    for date in dates:
        clock.move_to(date + late)
        assert fulfill() == Fulfilled(awarded=1, credits=500, failed=0, tried=1)
        fulfillment.refresh_from_db()
        assert fulfillment.last_fulfilled_at == date + late
        assert fulfillment.anchor == START
    assert dates_awarded(fulfillment) == dates
    assert fulfillment.next_fulfillment_at == at(6, 30)


@pytest.mark.behaviour("DEC-06")
@pytest.mark.parametrize(
    ("anchor", "period", "dates"),
    [
        (at(1, 31, year=2028), "P1M", [at(2, 29, year=2028), at(3, 31, year=2028)]),
        (at(1, 31, year=2027), "P1M", [at(2, 28, year=2027), at(3, 31, year=2027)]),
        (at(2, 29, year=2028), "P1Y", [at(2, 28, year=2029), at(2, 28, year=2030), at(2, 28, year=2031)]),
        (at(11, 30, year=2026), "P3M", [at(2, 28, year=2027), at(5, 30, year=2027)]),
        (at(1, 31), "P1M15D", [at(3, 15), at(4, 30)]),
        (at(12, 31), "P7D", [at(1, 7, year=2027), at(1, 14, year=2027)]),
    ],
    ids=str,
)
def test_dates_are_counted_from_the_anchor(
    anchor: datetime, period: str, dates: list[datetime], clock: time_machine.Traveller
) -> None:
    fulfillment = make_subscription(make_wallet(), period=period, anchor=anchor, next_fulfillment_at=anchor)
    for date in [anchor, *dates]:
        clock.move_to(date)
        assert fulfill().awarded == 1
    assert dates_awarded(fulfillment) == [anchor, *dates]


@pytest.mark.behaviour("DEC-06")
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Pacific/Auckland"])
def test_dates_keep_their_hour_in_utc_through_daylight_saving(
    zone: str, clock: time_machine.Traveller
) -> None:
    with override_settings(TIME_ZONE=zone, USE_TZ=True):
        anchor = datetime(2026, 1, 31, 23, 30, tzinfo=ZoneInfo(zone))
        fulfillment = make_subscription(make_wallet(), anchor=anchor, next_fulfillment_at=anchor)
        first = anchor.astimezone(UTC)
        clock.move_to(first + timedelta(days=300))
        fulfill()
        clock.move_to(first + timedelta(days=330))
        fulfill()
    fulfillment.refresh_from_db()
    dates = [*filter(None, dates_awarded(fulfillment)), fulfillment.next_fulfillment_at]
    assert {(date.hour, date.minute) for date in dates if date} == {(first.hour, first.minute)}
    assert len(dates) == 3


@pytest.mark.behaviour("DEC-07", "FUL-14")
@pytest.mark.parametrize(
    ("plan", "late", "expires_at"),
    [
        ("pro", timedelta(0), at(2, 28) + GRACE),
        ("pro", timedelta(days=9), at(2, 28) + GRACE),
        ("roll", timedelta(0), None),
    ],
    ids=str,
)
def test_award_expires_a_grace_after_the_next_date(
    plan: str, late: timedelta, expires_at: datetime | None, clock: time_machine.Traveller
) -> None:
    fulfillment = make_subscription(make_wallet(), plan)
    clock.shift(late)
    fulfill()
    assert [row.expires_at for row in rows_of(fulfillment)] == [expires_at]


@pytest.mark.behaviour("DEC-07", "FUL-14")
def test_grace_of_settings_is_capped_to_the_period() -> None:
    day, month = (make_grant(make_wallet(), 5, period=period) for period in ("P1D", "P1M"))
    Fulfillment.objects.update(metadata={"credits": 5, "unused_credits": "expire"}, anchor=START)
    with configured(FULFILLMENT_GRACE_PERIOD=timedelta(days=4)):
        fulfill()
    assert [row.expires_at for row in rows_of(day)] == [START + timedelta(days=2)]
    assert [row.expires_at for row in rows_of(month)] == [at(2, 28) + timedelta(days=4)]


@pytest.mark.behaviour("DEC-07")
def test_award_expires_alike_whichever_path_awarded_it(
    fake: FakeStripe, user: User, clock: time_machine.Traveller
) -> None:
    # Paid by the year, awarded by the month: the first award comes from the webhook, the others from the job.
    fake.add_price("price_pro", amount=PRICES["price_pro"], interval="year")
    subscription = subscribe(fake, user)
    for event in fake.events_for(subscription):
        fake.deliver(event)
    for date in (at(2, 28), at(3, 31)):
        clock.move_to(date + timedelta(hours=1))
        assert fulfill().awarded == 1
    cycles = fulfillment_of(subscription).transactions.filter(category="subscription_credits").oldest_first()
    assert [row.expires_at for row in cycles] == [
        at(month, day) + GRACE for month, day in ((2, 28), (3, 31), (4, 30))
    ]
    assert user.credits == 100 + 500


@pytest.mark.behaviour("DEC-15", "FUL-18")
def test_late_job_makes_up_for_every_missed_date_where_credits_are_kept(
    clock: time_machine.Traveller,
) -> None:
    fulfillment = make_subscription(make_wallet(), "roll")
    clock.move_to(at(4, 15))
    assert fulfill() == Fulfilled(awarded=3, credits=3000, failed=0, tried=1)
    assert fulfill() == Fulfilled()
    assert dates_awarded(fulfillment) == [START, at(2, 28), at(3, 31)]
    fulfillment.refresh_from_db()
    assert (fulfillment.last_fulfilled_at, fulfillment.next_fulfillment_at) == (at(4, 15), at(4, 30))
    assert list(verify()) == []


@pytest.mark.behaviour("DEC-15", "FUL-18")
def test_late_job_awards_the_running_period_only_where_credits_expire(clock: time_machine.Traveller) -> None:
    fulfillment = make_subscription(make_wallet())
    clock.move_to(at(4, 15))
    assert fulfill() == Fulfilled(awarded=1, credits=500, failed=0, tried=1)
    assert fulfill() == Fulfilled()
    assert dates_awarded(fulfillment) == [at(3, 31)]
    fulfillment.refresh_from_db()
    assert (fulfillment.last_fulfilled_at, fulfillment.next_fulfillment_at) == (at(4, 15), at(4, 30))


@pytest.mark.behaviour("DEC-15")
@pytest.mark.parametrize(
    ("plan", "stops_at", "dates"),
    [
        ("roll", at(3, 15), [START, at(2, 28)]),
        ("roll", at(3, 31), [START, at(2, 28)]),
        ("roll", START, []),
        ("pro", at(3, 15), []),
        ("pro", at(5, 15), [at(3, 31)]),
        ("pro", at(4, 15), [at(3, 31)]),
    ],
    ids=str,
)
def test_late_job_awards_nothing_from_the_stop_on(
    plan: str, stops_at: datetime, dates: list[datetime], clock: time_machine.Traveller
) -> None:
    fulfillment = make_subscription(make_wallet(), plan, stops_at=stops_at)
    clock.move_to(at(4, 15))
    assert fulfill().awarded == len(dates)
    assert dates_awarded(fulfillment) == dates
    assert fulfill() == Fulfilled()


@pytest.mark.behaviour("DEC-15")
def test_date_that_was_awarded_already_is_passed_over(clock: time_machine.Traveller) -> None:
    fulfillment = make_subscription(make_wallet(), "roll")
    clock.move_to(at(2, 28))
    fulfill()
    Fulfillment.objects.update(next_fulfillment_at=START, last_fulfilled_at=None)
    clock.move_to(at(3, 31))
    assert fulfill() == Fulfilled(awarded=1, credits=1000, failed=0, tried=1)
    assert dates_awarded(fulfillment) == [START, at(2, 28), at(3, 31)]


@pytest.mark.behaviour("FUL-21", "FUL-22")
def test_short_periods_overlap_once_at_most(clock: time_machine.Traveller) -> None:
    plan = SubscriptionPlan("quick", gives=credits(100).every("15 seconds"), unused_credits="expire")
    wallet = make_wallet()
    fulfillment = make_subscription(wallet, "quick", period="PT15S")
    balances = []
    with configured(SUBSCRIPTION_PLANS=[plan], MIN_FULFILLMENT_PERIOD=timedelta(seconds=1)):
        for round_number in range(20):
            clock.move_to(START + timedelta(seconds=15 * round_number))
            assert fulfill() == Fulfilled(awarded=1, credits=100, failed=0, tried=1)
            balances.append(wallet.balance)
    assert balances == [100] + [200] * 19
    assert amounts_awarded(fulfillment) == [100] * 20
    assert {row.expires_at - row.created_at for row in rows_of(fulfillment) if row.expires_at} == {
        timedelta(seconds=30)
    }
    assert list(verify()) == []

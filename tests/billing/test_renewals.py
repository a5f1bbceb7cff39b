from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command

from tests.app.models import User
from tests.billing.subscribing import (
    DRAFT,
    GRACE,
    START,
    Notices,
    awards_of,
    fulfillment_of,
    in_every_shape,
    set_period,
    stripe_at,
    subscribe,
)
from usage_credits import SubscriptionPlan, credits
from usage_credits.models import Fulfillment, Transaction
from usage_credits.testing import FakeStripe, capture_events

FEB, MAR, APR, MAY = (datetime(2026, month, 1, tzinfo=UTC) for month in (2, 3, 4, 5))
MINUTE = timedelta(minutes=1)
FIRST = [("subscription_signup_bonus", 100), ("subscription_credits", 500)]
CYCLE = ("subscription_credits", 500)


def renew(notices: Notices, clock: Any, moment: datetime) -> None:
    """Let time pass at Stripe until `moment`, and hear of what it brought."""
    clock.move_to(moment)
    notices.fake.catch_up()
    notices.deliver()


def run_job() -> None:
    call_command("fulfill_credits", verbosity=0, stdout=io.StringIO())


def dates_of(subscription: dict[str, Any]) -> list[datetime | None]:
    rows = fulfillment_of(subscription).transactions.filter(category="subscription_credits")
    return list(rows.order_by("pk").values_list("grid_date", flat=True))


@pytest.mark.behaviour("REN-01")
def test_move_the_stop_with_the_period_and_award_nothing_by_that(fake: FakeStripe, user: User) -> None:
    told = Notices(fake, "state alone")
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user)
        told.deliver()
        clock.shift(timedelta(days=10))
        set_period(subscription, START, MAR)
        told.repeat(subscription)
        fulfillment = fulfillment_of(subscription)
        assert (fulfillment.stops_at, fulfillment.next_fulfillment_at) == (MAR, FEB)
        run_job()
        assert awards_of(subscription) == FIRST


@pytest.mark.behaviour("REN-02", "DEC-06", "DEC-08")
def test_award_by_the_job_on_the_grid_however_late(notices: Notices, user: User) -> None:
    with stripe_at(notices.fake) as clock:
        notices.fake.add_price("price_pro", amount=29_000, interval="year")
        subscription = subscribe(notices.fake, user)
        notices.deliver()
        for moment, date, next_date in (
            (FEB, FEB, MAR),
            (MAR + timedelta(days=9), MAR, APR),
            (APR + 4 * MINUTE, APR, MAY),
        ):
            clock.move_to(moment - timedelta(days=10))
            run_job()
            assert Transaction.objects.latest("pk").grid_date != date
            clock.move_to(moment)
            for _time in range(2):
                run_job()
                notices.repeat(subscription)
            row = Transaction.objects.latest("pk")
            assert (row.grid_date, row.expires_at) == (date, next_date + GRACE)
            assert fulfillment_of(subscription).next_fulfillment_at == next_date
        assert awards_of(subscription) == [*FIRST, CYCLE, CYCLE, CYCLE]


@in_every_shape
@pytest.mark.behaviour("REN-01", "REN-02", "REN-04", "DEC-07", "DEC-08", "DEC-20")
def test_award_each_grid_date_when_its_renewal_is_known(notices: Notices, user: User) -> None:
    with stripe_at(notices.fake) as clock:
        subscription = subscribe(notices.fake, user)
        notices.deliver()
        for start, end in ((FEB, MAR), (MAR, APR)):
            renew(notices, clock, start + MINUTE)
            run_job()
            notices.repeat(subscription)
            row = Transaction.objects.latest("pk")
            assert (row.grid_date, row.expires_at) == (start, end + GRACE)
            assert row.metadata["reason"] == "fulfillment_cycle"
            if not notices.is_state_alone:
                assert row.metadata["invoice_id"] == subscription["latest_invoice"]
            fulfillment = fulfillment_of(subscription)
            assert fulfillment.next_fulfillment_at == fulfillment.stops_at == end
            assert fulfillment.credits_last_awarded == 500
        assert awards_of(subscription) == [*FIRST, CYCLE, CYCLE]


@pytest.mark.behaviour("DEC-06")
def test_keep_to_the_day_of_the_anchor(notices: Notices, user: User) -> None:
    with stripe_at(notices.fake, datetime(2026, 1, 31, 10, tzinfo=UTC)) as clock:
        subscription = subscribe(notices.fake, user)
        notices.deliver()
        for moment in (datetime(2026, 2, 28, 15, tzinfo=UTC), datetime(2026, 3, 31, 11, tzinfo=UTC)):
            renew(notices, clock, moment)
        assert dates_of(subscription) == [
            datetime(2026, month, day, 10, tzinfo=UTC) for month, day in ((1, 31), (2, 28), (3, 31))
        ]
        assert fulfillment_of(subscription).next_fulfillment_at == datetime(2026, 4, 30, 10, tzinfo=UTC)


@pytest.mark.behaviour("REN-03")
def test_award_nothing_at_the_end_of_the_period_before_the_renewal_is_known(
    notices: Notices, user: User
) -> None:
    with stripe_at(notices.fake) as clock:
        subscription = subscribe(notices.fake, user)
        notices.deliver()
        for moment in (FEB, FEB + MINUTE):
            clock.move_to(moment)
            run_job()
            notices.repeat(subscription)
            assert awards_of(subscription) == FIRST
            assert not fulfillment_of(subscription).is_active


@pytest.mark.behaviour("REN-05")
def test_let_two_cycles_overlap_for_the_grace_only(notices: Notices, user: User) -> None:
    with stripe_at(notices.fake) as clock:
        subscribe(notices.fake, user)
        notices.deliver()
        user.wallet().debit(350)
        renew(notices, clock, FEB + 2 * MINUTE)
        assert user.credits == 750
        clock.move_to(FEB + 6 * MINUTE)
        assert user.credits == 600


@pytest.mark.behaviour("EVT-22", "EVT-08")
def test_tell_of_every_award(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake) as clock:
        subscribe(fake, user)
        fake.deliver_pending()
        clock.move_to(FEB)
        fake.catch_up()
        with capture_events() as events:
            fake.deliver_pending()
    assert [event.event for event in events] == ["credits_added", "subscription_credits_awarded"]
    assert (events[-1].amount, events[-1].reason) == (500, "fulfillment_cycle")
    assert events[-1].metadata is not None
    assert events[-1].metadata["reason"] == "fulfillment_cycle"
    assert events[-1].metadata["fulfillment_period"] == "P1M"


@in_every_shape
@pytest.mark.behaviour("REN-06", "REN-13", "REN-09")
def test_take_no_click_on_cancel_for_a_renewal(notices: Notices, user: User) -> None:
    fake = notices.fake
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user, "price_prem")
        notices.deliver()
        clock.shift(timedelta(days=3))
        fake.change_plan(subscription, "price_pro")
        notices.deliver()
        for _time in range(2):
            clock.shift(timedelta(days=1))
            fake.cancel(subscription, at_period_end=True)
            notices.deliver()
            assert (fulfillment_of(subscription).stops_at, user.credits) == (FEB, 2_200)
            clock.shift(timedelta(days=1))
            fake.uncancel(subscription)
            notices.deliver()
            fulfillment = fulfillment_of(subscription)
            assert (fulfillment.stops_at, fulfillment.stop_reason) == (FEB, "")
            assert (fulfillment.plan_name, fulfillment.pending_plan) == ("prem", "pro")
        fake.change_plan(subscription, "price_prem")
        notices.deliver()
        assert user.credits == 2_200
        renew(notices, clock, FEB)
        assert awards_of(subscription)[2:] == [("subscription_credits", 2_000)]


@pytest.mark.behaviour("REN-13")
def test_award_after_a_cancellation_was_taken_back(notices: Notices, user: User) -> None:
    with stripe_at(notices.fake) as clock:
        subscription = subscribe(notices.fake, user)
        end = START + timedelta(days=20)
        subscription["cancel_at"] = int(end.timestamp())
        notices.deliver()
        assert fulfillment_of(subscription).stops_at == end
        notices.fake.uncancel(subscription)
        subscription["cancel_at"] = None
        notices.repeat(subscription)
        assert fulfillment_of(subscription).stops_at == FEB
        assert awards_of(subscription) == FIRST
        renew(notices, clock, FEB)
        assert awards_of(subscription) == [*FIRST, CYCLE]


@in_every_shape
@pytest.mark.behaviour("REN-07", "REN-08")
@pytest.mark.parametrize("late", [timedelta(0), timedelta(days=5)])
def test_wait_for_the_payment_of_a_renewal(notices: Notices, user: User, late: timedelta) -> None:
    fake = notices.fake
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user)
        notices.deliver()
        fake.fail_card(subscription["customer"])
        renew(notices, clock, FEB + DRAFT)
        assert subscription["status"] == "past_due"
        fulfillment = fulfillment_of(subscription)
        assert (fulfillment.stops_at, fulfillment.stop_reason) == (FEB, "past_due")
        assert awards_of(subscription) == FIRST
        assert user.credits == 100
        clock.move_to(FEB + timedelta(days=3))
        fake.mend_card(subscription["customer"])
        fake.retry(subscription["latest_invoice"])
        clock.shift(late)
        notices.deliver()
        notices.repeat(subscription)
        assert awards_of(subscription) == [*FIRST, CYCLE]
        row = Transaction.objects.latest("pk")
        assert (row.grid_date, row.expires_at) == (FEB, MAR + GRACE)
        fulfillment = fulfillment_of(subscription)
        assert (fulfillment.next_fulfillment_at, fulfillment.stops_at) == (MAR, MAR)
        assert fulfillment.stop_reason == ""
        renew(notices, clock, MAR)
        assert awards_of(subscription) == [*FIRST, CYCLE, CYCLE]


@pytest.mark.behaviour("REN-14")
def test_award_nothing_while_unpaid(notices: Notices, user: User) -> None:
    fake = notices.fake
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user)
        notices.deliver()
        fake.fail_card(subscription["customer"])
        renew(notices, clock, FEB + DRAFT)
        clock.move_to(FEB + timedelta(days=14))
        fake.end_dunning(subscription, "unpaid")
        notices.deliver()
        renew(notices, clock, MAR + DRAFT)
        assert awards_of(subscription) == FIRST
        assert not fulfillment_of(subscription).is_active


@in_every_shape
@pytest.mark.behaviour("REN-14")
@pytest.mark.parametrize("behavior", ["void", "keep_as_draft", "mark_uncollectible"])
def test_award_nothing_while_collection_is_paused(notices: Notices, user: User, behavior: str) -> None:
    fake = notices.fake
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user)
        notices.deliver()
        clock.move_to(START + timedelta(days=10))
        fake.pause(subscription, behavior=behavior)
        notices.deliver()
        fulfillment = fulfillment_of(subscription)
        assert fulfillment.stop_reason == "paused"
        assert not fulfillment.is_active
        assert user.credits == 600
        renew(notices, clock, FEB + MINUTE)
        renew(notices, clock, MAR + MINUTE)
        assert awards_of(subscription) == FIRST
        clock.move_to(MAR + timedelta(days=10))
        fake.resume(subscription)
        notices.deliver()
        renew(notices, clock, APR + MINUTE)
        notices.repeat(subscription)
        # Without invoices nothing tells that the period in which collection was taken up is not paid.
        assert dates_of(subscription) == [START, *([MAR] if notices.is_state_alone else []), APR]
        assert fulfillment_of(subscription).stop_reason == ""


@pytest.mark.behaviour("REN-14")
def test_pause_within_a_long_period_and_go_on(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake) as clock:
        fake.add_price("price_roll", amount=50_000, interval="year")
        subscription = subscribe(fake, user, "price_roll")
        fake.deliver_pending()
        clock.move_to(START + timedelta(days=10))
        fake.pause(subscription)
        fake.deliver_pending()
        clock.move_to(MAR + timedelta(days=10))
        run_job()
        assert dates_of(subscription) == [START]
        fake.resume(subscription)
        fake.deliver_pending()
        clock.move_to(APR)
        run_job()
        # The year is paid: what rested is made up for.
        assert dates_of(subscription) == [START, FEB, MAR, APR]


@pytest.mark.behaviour("REN-14")
def test_pause_for_want_of_a_card_after_the_trial(notices: Notices, user: User) -> None:
    fake = notices.fake
    with stripe_at(fake) as clock:
        subscription = subscribe(
            fake,
            user,
            trial_period_days=7,
            trial_settings={"end_behavior": {"missing_payment_method": "pause"}},
        )
        fake.remove_card(subscription["customer"])
        notices.deliver()
        renew(notices, clock, START + timedelta(days=7))
        assert subscription["status"] == "paused"
        assert awards_of(subscription) == [("subscription_trial", 50)]
        clock.shift(timedelta(days=3))
        fake.add_card(subscription["customer"])
        fake.resume(subscription)
        notices.deliver()
        assert awards_of(subscription)[1:] == FIRST
        assert dates_of(subscription) == [START + timedelta(days=10)]


@pytest.mark.behaviour("DEC-15")
@pytest.mark.parametrize(
    ("price", "expected"), [("price_roll", [START, FEB, MAR, APR]), ("price_pro", [START, APR])]
)
def test_make_up_for_missed_cycles_where_credits_are_kept(
    fake: FakeStripe, user: User, price: str, expected: list[datetime]
) -> None:
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user, price)
        fake.deliver_pending()
        clock.move_to(APR + timedelta(days=14))
        fake.catch_up()
        fake.deliver_pending()
        assert dates_of(subscription) == expected
        assert fulfillment_of(subscription).next_fulfillment_at == MAY


@pytest.mark.behaviour("DEC-15")
@pytest.mark.parametrize(
    ("price", "expected"), [("price_roll", [START, FEB, MAR, APR]), ("price_pro", [START, APR])]
)
def test_make_up_for_what_the_job_missed(
    notices: Notices, user: User, price: str, expected: list[datetime]
) -> None:
    with stripe_at(notices.fake) as clock:
        notices.fake.add_price(price, amount=29_000, interval="year")
        subscription = subscribe(notices.fake, user, price)
        notices.deliver()
        clock.move_to(APR + timedelta(days=14))
        run_job()
        notices.repeat(subscription)
        assert dates_of(subscription) == expected
        assert fulfillment_of(subscription).next_fulfillment_at == MAY


def test_award_the_same_from_the_last_renewal_to_the_first(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake) as clock:
        # Sold by us: what was paid before the first notice counts.
        owner = {"usage_credits_owner": f"app.user:{user.pk}"}
        subscription = subscribe(fake, user, "price_roll", metadata=owner)
        clock.move_to(APR)
        fake.catch_up()
        for event in reversed(fake.announced):
            assert fake.deliver(event) == [200]
        assert dates_of(subscription) == [START, FEB, MAR, APR]


@pytest.mark.behaviour("PLN-16")
def test_award_nothing_for_a_switch_between_prices_of_one_plan(
    notices: Notices, user: User, settings: Any
) -> None:
    plan = SubscriptionPlan(
        "duo", stripe_price={"month": "price_m", "year": "price_y"}, gives=credits(500).every("month")
    )
    settings.USAGE_CREDITS = {"SUBSCRIPTION_PLANS": [plan]}
    fake = notices.fake
    with stripe_at(fake) as clock:
        fake.add_price("price_m", amount=900)
        fake.add_price("price_y", amount=9_000, interval="year")
        subscription = subscribe(fake, user, "price_m")
        notices.deliver()
        for day, price in ((10, "price_y"), (12, "price_m"), (15, "price_y")):
            clock.move_to(START + timedelta(days=day))
            fake.change_plan(subscription, price)
            notices.deliver()
            assert awards_of(subscription) == [CYCLE]
            assert fulfillment_of(subscription).metadata["price_id"] == price
            assert fulfillment_of(subscription).next_fulfillment_at == FEB
        assert fulfillment_of(subscription).stops_at == datetime(2027, 1, 16, tzinfo=UTC)
        for moment in (FEB, MAR):
            clock.move_to(moment)
            notices.repeat(subscription)
        assert dates_of(subscription) == [START, FEB, MAR]


@pytest.mark.behaviour("PLN-16")
@pytest.mark.parametrize("price", ["price_m", "price_y"])
def test_award_the_same_by_the_month_and_by_the_year(
    fake: FakeStripe, user: User, settings: Any, price: str
) -> None:
    plan = SubscriptionPlan(
        "duo", stripe_price={"month": "price_m", "year": "price_y"}, gives=credits(500).every("month")
    )
    settings.USAGE_CREDITS = {"SUBSCRIPTION_PLANS": [plan]}
    told = Notices(fake, "today")
    with stripe_at(fake) as clock:
        fake.add_price("price_m", amount=900)
        fake.add_price("price_y", amount=9_000, interval="year")
        subscription = subscribe(fake, user, price)
        told.deliver()
        for moment in (FEB, MAR):
            renew(told, clock, moment)
            told.repeat(subscription)
        assert awards_of(subscription) == [CYCLE] * 3


@pytest.mark.behaviour("FUL-15", "REN-15")
def test_award_once_when_the_plan_is_back_in_settings(notices: Notices, user: User, settings: Any) -> None:
    offered = settings.USAGE_CREDITS
    with stripe_at(notices.fake) as clock:
        subscription = subscribe(notices.fake, user)
        notices.deliver()
        settings.USAGE_CREDITS = {}
        with capture_events() as events:
            renew(notices, clock, FEB)
            notices.repeat(subscription)
        assert awards_of(subscription) == FIRST
        fulfillment = fulfillment_of(subscription)
        assert "'pro'" in fulfillment.last_error
        assert fulfillment.next_fulfillment_at == FEB
        failures = [event for event in events if event.event == "fulfillment_failed"]
        assert [event.fulfillment for event in failures] == [fulfillment]
        settings.USAGE_CREDITS = offered
        notices.repeat(subscription)
        notices.repeat(subscription)
        assert awards_of(subscription) == [*FIRST, CYCLE]
        assert Fulfillment.objects.get().last_error == ""

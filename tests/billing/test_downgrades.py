from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest

from tests.app.models import User
from tests.billing.changing import COLLECTED, PREM, PRO, Changes, day, plans_of
from tests.billing.subscribing import GRACE, awards_of, fulfillment_of, set_period, stripe_at, subscribe
from usage_credits import SubscriptionPlan, credits
from usage_credits.models import Fulfillment, Transaction
from usage_credits.testing import FakeStripe, capture_events

pytestmark = pytest.mark.usefixtures("verified")

CYCLE_OF_PRO = ("subscription_credits", 500)
CYCLE_OF_PREM = ("subscription_credits", 2_000)
DUO = SubscriptionPlan(
    "duo", stripe_price={"month": "price_m", "year": "price_y"}, gives=credits(1_500).every("month")
)
YEARLY = SubscriptionPlan("yearly", stripe_price="price_300", gives=credits(300).every("year"))


@pytest.fixture
def more_plans(settings: Any) -> None:
    plans = settings.USAGE_CREDITS["SUBSCRIPTION_PLANS"]
    settings.USAGE_CREDITS = {**settings.USAGE_CREDITS, "SUBSCRIPTION_PLANS": [*plans, DUO, YEARLY]}


@pytest.mark.behaviour("CHG-07", "CHG-09")
def test_wait_with_a_smaller_plan_for_the_end_of_the_period(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user, "price_prem")
        changes.deliver()
        clock.move_to(day(1, 16))
        with capture_events() as events:
            changes.change(subscription, "price_pro")
            changes.repeat(subscription)
        assert events == []
        assert awards_of(subscription) == PREM
        assert user.credits == 2_200
        fulfillment = fulfillment_of(subscription)
        assert plans_of(fulfillment) == ("prem", "pro", day(2, 1))
        assert (fulfillment.stops_at, fulfillment.next_fulfillment_at) == (day(2, 1), day(2, 1))
        changes.meet(clock, subscription, day(2, 1))
        assert awards_of(subscription) == [*PREM, CYCLE_OF_PRO]
        row = Transaction.objects.latest("pk")
        assert (row.grid_date, row.expires_at) == (day(2, 1), day(3, 1) + GRACE)
        assert plans_of(fulfillment_of(subscription)) == ("pro", "", None)
        changes.meet(clock, subscription, day(3, 1))
        assert awards_of(subscription) == [*PREM, CYCLE_OF_PRO, CYCLE_OF_PRO]


@pytest.mark.behaviour("CHG-07", "REN-03")
def test_award_neither_plan_before_the_renewal_is_known(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user, "price_prem")
        changes.deliver()
        clock.move_to(day(1, 16))
        changes.change(subscription, "price_pro")
        clock.move_to(day(2, 2))
        changes.repeat(subscription)
        assert awards_of(subscription) == PREM
        changes.fake.catch_up()
        changes.deliver()
        assert awards_of(subscription) == [*PREM, CYCLE_OF_PRO]


@pytest.mark.behaviour("CHG-08")
def test_apply_a_smaller_plan_at_the_renewal_where_the_end_of_the_period_is_unknown(
    fake: FakeStripe, user: User
) -> None:
    told = Changes(fake, "state alone")
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user, "price_prem")
        for item in subscription["items"]["data"]:
            item["current_period_end"] = None
        told.repeat(subscription)
        clock.move_to(day(1, 16))
        subscription["items"]["data"][0]["price"] = fake.get("price", "price_pro")
        told.repeat(subscription)
        assert plans_of(fulfillment_of(subscription)) == ("prem", "pro", day(1, 16))
        assert awards_of(subscription) == PREM
        clock.move_to(day(2, 1))
        set_period(subscription, day(2, 1), day(3, 1))
        told.repeat(subscription)
        assert awards_of(subscription) == [*PREM, CYCLE_OF_PRO]
        assert plans_of(fulfillment_of(subscription)) == ("pro", "", None)


@pytest.mark.behaviour("CHG-10")
@pytest.mark.usefixtures("more_plans")
def test_take_over_the_period_of_a_smaller_plan(changes: Changes, user: User) -> None:
    fake = changes.fake
    with stripe_at(fake) as clock:
        fake.add_price("price_300", amount=100)
        subscription = subscribe(fake, user)
        changes.deliver()
        clock.move_to(day(1, 16))
        changes.change(subscription, "price_300")
        assert plans_of(fulfillment_of(subscription)) == ("pro", "yearly", day(2, 1))
        for month in (2, 3, 4):
            changes.meet(clock, subscription, day(month, 1))
            assert awards_of(subscription) == [*PRO, ("subscription_credits", 300)]
        fulfillment = fulfillment_of(subscription)
        assert (fulfillment.period, fulfillment.next_fulfillment_at) == ("P1Y", day(2, 1, 2027))
        assert Transaction.objects.latest("pk").expires_at == day(2, 1, 2027) + GRACE


@pytest.mark.behaviour("CHG-11")
def test_keep_the_plan_when_the_pending_one_has_gone(
    changes: Changes, user: User, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    offered = settings.USAGE_CREDITS
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user, "price_prem")
        changes.deliver()
        clock.move_to(day(1, 16))
        changes.change(subscription, "price_pro")
        plans = [plan for plan in offered["SUBSCRIPTION_PLANS"] if plan.name != "pro"]
        settings.USAGE_CREDITS = {**offered, "SUBSCRIPTION_PLANS": plans}
        with caplog.at_level(logging.ERROR, "usage_credits"):
            changes.meet(clock, subscription, day(2, 1))
        assert "'pro' has gone from settings" in caplog.text
        assert awards_of(subscription) == [*PREM, CYCLE_OF_PREM]
        fulfillment = fulfillment_of(subscription)
        assert plans_of(fulfillment) == ("prem", "", None)
        assert (fulfillment.stops_at, fulfillment.stop_reason) == (day(3, 1), "")


@pytest.mark.behaviour("CHG-12", "CHG-14")
def test_give_nothing_for_going_down_and_up_again(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user, "price_ultra")
        changes.deliver()
        for number, price, pending in (
            (3, "price_pro", "pro"),
            (4, "price_roll", "roll"),
            (5, "price_pro", "pro"),
            (6, "price_prem", "prem"),
            (7, "price_roll", "roll"),
            (8, "price_ultra", ""),
            (9, "price_pro", "pro"),
            (10, "price_ultra", ""),
            (11, "price_pro", "pro"),
            (12, "price_prem", "prem"),
        ):
            clock.move_to(day(1, number))
            changes.change(subscription, price)
            fulfillment = fulfillment_of(subscription)
            assert plans_of(fulfillment) == ("ultra", pending, day(2, 1) if pending else None)
        assert awards_of(subscription) == [("subscription_credits", 5_000)]
        changes.meet(clock, subscription, day(2, 1))
        assert awards_of(subscription)[1:] == [CYCLE_OF_PREM]


@pytest.mark.behaviour("CHG-13")
def test_compare_with_the_current_plan_and_never_with_the_pending(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user, "price_prem")
        changes.deliver()
        clock.move_to(day(1, 5))
        changes.change(subscription, "price_pro")
        clock.move_to(day(1, 10))
        changes.change(subscription, "price_roll")
        changes.repeat(subscription)
        assert awards_of(subscription) == PREM
        assert plans_of(fulfillment_of(subscription)) == ("prem", "roll", day(2, 1))
        changes.meet(clock, subscription, day(2, 1))
        assert awards_of(subscription)[2:] == [("subscription_credits", 1_000)]


@pytest.mark.behaviour("CHG-14")
def test_stay_with_the_plan_that_is_chosen_again(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user, "price_prem")
        changes.deliver()
        for number in range(2, 12, 2):
            clock.move_to(day(1, number))
            changes.change(subscription, "price_pro")
            clock.move_to(day(1, number + 1))
            changes.change(subscription, "price_prem")
            assert plans_of(fulfillment_of(subscription)) == ("prem", "", None)
        assert user.credits == 2_200
        changes.meet(clock, subscription, day(2, 1))
        assert awards_of(subscription) == [*PREM, CYCLE_OF_PREM]


@pytest.mark.behaviour("CHG-18")
def test_apply_at_once_what_changed_at_the_boundary(changes: Changes, user: User) -> None:
    fake = changes.fake
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user, "price_prem")
        changes.deliver()
        # A schedule at Stripe changes the price with the period.
        clock.move_to(day(2, 1) - timedelta(seconds=1))
        fake.change_plan(subscription, "price_pro", proration_behavior="none")
        changes.meet(clock, subscription, day(2, 1))
        assert awards_of(subscription) == [*PREM, CYCLE_OF_PRO]
        assert plans_of(fulfillment_of(subscription)) == ("pro", "", None)
        assert fulfillment_of(subscription).next_fulfillment_at == day(3, 1)


@pytest.mark.behaviour("CHG-07", "REN-11")
def test_forget_a_pending_plan_at_the_end(changes: Changes, user: User) -> None:
    fake = changes.fake
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user, "price_prem")
        changes.deliver()
        clock.move_to(day(1, 16))
        changes.change(subscription, "price_pro")
        fake.cancel(subscription, at_period_end=True)
        changes.deliver()
        changes.meet(clock, subscription, day(2, 1))
        changes.meet(clock, subscription, day(3, 1))
        assert awards_of(subscription) == PREM
        assert plans_of(fulfillment_of(subscription)) == ("prem", "", None)


@pytest.mark.behaviour("CHG-07", "CHG-26")
@pytest.mark.parametrize("order", ["as it came", "reversed", "reissued first"])
@pytest.mark.parametrize("late", [0, 3])
def test_wait_with_a_smaller_plan_in_whatever_order_it_is_told(
    fake: FakeStripe, user: User, order: str, late: int
) -> None:
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user, "price_prem")
        fake.deliver_pending()
        known = len(fake.announced)
        for number, price in ((10, "price_pro"), (12, "price_prem"), (14, "price_roll")):
            clock.move_to(day(1, number))
            fake.change_plan(subscription, price)
        clock.move_to(day(2, 1 + late) + COLLECTED)
        fake.catch_up()
        told = fake.announced[known:]
        if order == "reversed":
            told.reverse()
        elif order == "reissued first":
            told = [fake.reissue(event) for event in told] + told
        for event in told:
            assert fake.deliver(event) == [200]
        assert awards_of(subscription) == [*PREM, ("subscription_credits", 1_000)]
        fulfillment = fulfillment_of(subscription)
        assert plans_of(fulfillment) == ("roll", "", None)
        assert fulfillment.next_fulfillment_at == day(3, 1)


@pytest.mark.behaviour("CHG-07", "PLN-16")
@pytest.mark.usefixtures("more_plans")
def test_give_a_smaller_plan_by_the_year_at_the_next_date(changes: Changes, user: User) -> None:
    fake = changes.fake
    with stripe_at(fake) as clock:
        fake.add_price("price_m", amount=5_900)
        fake.add_price("price_y", amount=59_000, interval="year")
        subscription = subscribe(fake, user, "price_prem")
        changes.deliver()
        clock.move_to(day(1, 16))
        # Stripe ends the month there and then, and begins a year.
        changes.change(subscription, "price_y")
        changes.repeat(subscription)
        assert plans_of(fulfillment_of(subscription)) == ("prem", "duo", day(1, 16))
        assert awards_of(subscription) == PREM
        changes.meet(clock, subscription, day(2, 1))
        assert awards_of(subscription) == [*PREM, ("subscription_credits", 1_500)]
        assert plans_of(fulfillment_of(subscription)) == ("duo", "", None)
        assert fulfillment_of(subscription).stops_at == day(1, 16, 2027)


@pytest.mark.behaviour("CHG-01", "DEC-20")
@pytest.mark.usefixtures("more_plans")
def test_award_a_larger_plan_once_however_often_the_interval_changes(changes: Changes, user: User) -> None:
    fake = changes.fake
    with stripe_at(fake) as clock:
        fake.add_price("price_m", amount=5_900)
        fake.add_price("price_y", amount=59_000, interval="year")
        subscription = subscribe(fake, user)
        changes.deliver()
        prices = ["price_y", "price_pro", "price_y", "price_m", "price_y", "price_pro", "price_m"]
        for number, price in enumerate(prices, start=5):
            clock.move_to(day(1, number))
            changes.change(subscription, price)
            changes.repeat(subscription)
            assert awards_of(subscription) == [*PRO, ("subscription_upgrade", 1_500)]
        fulfillment = fulfillment_of(subscription)
        assert plans_of(fulfillment) == ("duo", "", None)
        assert fulfillment.next_fulfillment_at == day(2, 5)


@pytest.mark.behaviour("CHG-07")
def test_note_no_smaller_plan_for_ever_after_the_end(fake: FakeStripe, user: User) -> None:
    told = Changes(fake, "state alone")
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user, "price_pro")
        told.deliver()
        clock.move_to(day(1, 10))
        fake.change_plan(subscription, "price_prem", proration_behavior="none")
        clock.move_to(day(1, 12))
        fake.cancel(subscription)
        clock.move_to(day(1, 13))
        assert fake.deliver(fake.event("customer.subscription.deleted")) == [200]
        assert awards_of(subscription) == PRO
        assert Fulfillment.objects.get().stops_at == day(1, 12)

from __future__ import annotations

from typing import Any

import pytest

from tests.app.models import User
from tests.billing.changing import PREM, PRO, Changes, day, plans_of
from tests.billing.subscribing import awards_of, fulfillment_of, stripe_at, subscribe
from usage_credits import SubscriptionPlan, credits, find_subscription_plan
from usage_credits.conf import find_plan_for_price
from usage_credits.models import Fulfillment, PaymentNotice, Transaction
from usage_credits.testing import FakeStripe, capture_events

pytestmark = pytest.mark.usefixtures("verified")

CYCLE_OF_PREM = ("subscription_credits", 2_000)


@pytest.mark.behaviour("CHG-20")
def test_stop_at_the_end_of_the_period_for_a_price_without_credits(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user)
        changes.deliver()
        clock.move_to(day(1, 16))
        with capture_events() as events:
            changes.change(subscription, "price_other")
            changes.repeat(subscription)
        assert events == []
        fulfillment = fulfillment_of(subscription)
        assert (fulfillment.stops_at, fulfillment.stop_reason) == (day(2, 1), "plan_without_credits")
        assert (fulfillment.plan_name, user.credits) == ("pro", 600)
        for moment in (day(2, 1), day(2, 10), day(3, 1)):
            changes.meet(clock, subscription, moment)
            assert awards_of(subscription) == PRO
            assert fulfillment_of(subscription).stops_at == day(2, 1)


@pytest.mark.behaviour("CHG-20")
def test_stop_now_where_the_period_is_over(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user, "price_prem")
        changes.deliver()
        clock.move_to(day(1, 16))
        changes.fake.change_plan(subscription, "price_other", proration_behavior=changes.prorations)
        changes.meet(clock, subscription, day(2, 20))
        assert awards_of(subscription) == PREM
        fulfillment = fulfillment_of(subscription)
        assert (fulfillment.is_active, fulfillment.stop_reason) == (False, "plan_without_credits")


@pytest.mark.behaviour("CHG-21")
@pytest.mark.parametrize(
    ("price", "name", "amount"), [("price_pro", "pro", 500), ("price_prem", "prem", 2_000)]
)
def test_award_again_after_the_stop(changes: Changes, user: User, price: str, name: str, amount: int) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user)
        changes.deliver()
        Fulfillment.objects.update(metadata={**Fulfillment.objects.get().metadata, "note": "ours"})
        clock.move_to(day(1, 16))
        changes.change(subscription, "price_other")
        changes.meet(clock, subscription, day(2, 1))
        clock.move_to(day(2, 10))
        with capture_events() as events:
            changes.change(subscription, price)
            changes.repeat(subscription)
        assert awards_of(subscription) == [*PRO, ("subscription_credits", amount)]
        told = events[-1]
        assert (told.event, told.amount, told.reason) == (
            "subscription_credits_awarded",
            amount,
            "reactivation",
        )
        assert told.metadata is not None
        assert told.metadata["is_reactivation"] is True
        fulfillment = fulfillment_of(subscription)
        assert (fulfillment.plan_name, fulfillment.stop_reason) == (name, "")
        assert (fulfillment.metadata["note"], fulfillment.metadata["price_id"]) == ("ours", price)
        assert "left_for" not in fulfillment.metadata
        assert fulfillment.stops_at == day(3, 1)
        assert fulfillment.next_fulfillment_at == (day(3, 1) if changes.is_state_alone else day(3, 10))
        changes.meet(clock, subscription, day(3, 10))
        assert awards_of(subscription)[3:] == [("subscription_credits", amount)]


@pytest.mark.behaviour("CHG-21", "CHG-22")
def test_award_once_in_a_period_however_often_it_is_left_after_a_stop(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user, "price_prem")
        changes.deliver()
        clock.move_to(day(1, 16))
        changes.change(subscription, "price_other")
        changes.meet(clock, subscription, day(2, 1))
        for number in (5, 7, 9):
            clock.move_to(day(2, number))
            changes.change(subscription, "price_prem")
            clock.move_to(day(2, number + 1))
            changes.change(subscription, "price_other")
            changes.repeat(subscription)
        assert awards_of(subscription) == [*PREM, CYCLE_OF_PREM]


@pytest.mark.behaviour("CHG-22")
def test_restore_the_plan_before_the_stop_without_credits(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user, "price_prem")
        changes.deliver()
        for number in (5, 7, 9):
            clock.move_to(day(1, number))
            changes.change(subscription, "price_other")
            assert fulfillment_of(subscription).stop_reason == "plan_without_credits"
            clock.move_to(day(1, number + 1))
            changes.change(subscription, "price_prem")
            changes.repeat(subscription)
            assert user.credits == 2_200
            assert fulfillment_of(subscription).stop_reason == ""
        changes.meet(clock, subscription, day(2, 1))
        assert awards_of(subscription) == [*PREM, CYCLE_OF_PREM]


@pytest.mark.behaviour("CHG-22", "DEC-20")
def test_come_back_before_the_stop_to_a_larger_plan_as_an_upgrade(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user, "price_prem")
        changes.deliver()
        for number in (5, 7, 9):
            clock.move_to(day(1, number))
            changes.change(subscription, "price_other")
            clock.move_to(day(1, number + 1))
            changes.change(subscription, "price_ultra")
            changes.repeat(subscription)
            assert awards_of(subscription) == [*PREM, ("subscription_upgrade", 5_000)]
        assert fulfillment_of(subscription).next_fulfillment_at == day(2, 6)


@pytest.mark.behaviour("CHG-22")
def test_come_back_before_the_stop_to_a_smaller_plan_at_the_renewal(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user, "price_prem")
        changes.deliver()
        for number in (5, 7, 9):
            clock.move_to(day(1, number))
            changes.change(subscription, "price_other")
            clock.move_to(day(1, number + 1))
            changes.change(subscription, "price_pro")
            assert plans_of(fulfillment_of(subscription)) == ("prem", "pro", day(2, 1))
        assert awards_of(subscription) == PREM
        changes.meet(clock, subscription, day(2, 1))
        assert awards_of(subscription) == [*PREM, ("subscription_credits", 500)]


@pytest.mark.behaviour("CHG-20", "CHG-22")
def test_forget_a_pending_plan_when_credits_are_left(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user, "price_prem")
        changes.deliver()
        for number, price in ((5, "price_pro"), (6, "price_other")):
            clock.move_to(day(1, number))
            changes.change(subscription, price)
        assert plans_of(fulfillment_of(subscription)) == ("prem", "", None)
        changes.meet(clock, subscription, day(2, 1))
        assert awards_of(subscription) == PREM


@pytest.mark.behaviour("CHG-23")
def test_do_nothing_between_prices_without_credits(changes: Changes, user: User) -> None:
    fake = changes.fake
    with stripe_at(fake) as clock:
        fake.add_price("price_none", amount=700)
        subscription = subscribe(fake, user, "price_other")
        changes.deliver()
        clock.move_to(day(1, 10))
        changes.change(subscription, "price_none")
        changes.meet(clock, subscription, day(2, 1))
    assert not Fulfillment.objects.exists()
    assert not PaymentNotice.objects.exists()
    assert not Transaction.objects.exists()


@pytest.mark.behaviour("CHG-23")
def test_stay_stopped_between_prices_without_credits(changes: Changes, user: User) -> None:
    fake = changes.fake
    with stripe_at(fake) as clock:
        fake.add_price("price_none", amount=700)
        subscription = subscribe(fake, user)
        changes.deliver()
        for number, price in ((5, "price_other"), (8, "price_none"), (10, "price_other")):
            clock.move_to(day(1, number))
            changes.change(subscription, price)
            fulfillment = fulfillment_of(subscription)
            assert (fulfillment.stops_at, fulfillment.stop_reason) == (day(2, 1), "plan_without_credits")
        changes.meet(clock, subscription, day(2, 1))
        assert awards_of(subscription) == PRO


@pytest.mark.behaviour("CHG-19")
def test_begin_after_a_trial_that_ended_without_a_plan(changes: Changes, user: User) -> None:
    fake = changes.fake
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user, trial_period_days=7)
        changes.deliver()
        clock.move_to(day(1, 3))
        changes.change(subscription, "price_other")
        changes.meet(clock, subscription, day(1, 8))
        assert awards_of(subscription) == [("subscription_trial", 50)]
        clock.move_to(day(1, 10))
        changes.change(subscription, "price_pro")
        changes.repeat(subscription)
        assert awards_of(subscription)[1:] == PRO
        assert fulfillment_of(subscription).next_fulfillment_at == day(2, 8)


@pytest.mark.behaviour("CHG-20", "CHG-21", "CHG-26")
@pytest.mark.parametrize("order", ["as it came", "reversed", "reissued first"])
def test_leave_and_come_back_in_whatever_order_it_is_told(fake: FakeStripe, user: User, order: str) -> None:
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user, "price_prem")
        fake.deliver_pending()
        known = len(fake.announced)
        clock.move_to(day(1, 16))
        fake.change_plan(subscription, "price_other")
        clock.move_to(day(2, 10))
        fake.catch_up()
        fake.change_plan(subscription, "price_prem")
        clock.move_to(day(2, 12))
        told = fake.announced[known:]
        if order == "reversed":
            told.reverse()
        elif order == "reissued first":
            told = [fake.reissue(event) for event in told] + told
        for event in told:
            assert fake.deliver(event) == [200]
        assert awards_of(subscription) == [*PREM, CYCLE_OF_PREM]
        assert fulfillment_of(subscription).next_fulfillment_at == day(3, 10)


@pytest.mark.behaviour("PLN-07")
def test_find_a_plan_by_each_of_its_prices(changes: Changes, user: User, settings: Any) -> None:
    plan = SubscriptionPlan(
        "duo", stripe_price={"month": "price_m", "year": "price_y"}, gives=credits(500).every("month")
    )
    settings.USAGE_CREDITS = {"SUBSCRIPTION_PLANS": [plan]}
    fake = changes.fake
    assert find_subscription_plan("duo") == find_plan_for_price("price_y") == plan
    assert find_plan_for_price("price_none") is None
    with stripe_at(fake):
        fake.add_price("price_m", amount=900)
        fake.add_price("price_y", amount=9_000, interval="year")
        for price in plan.price_ids:
            subscription = subscribe(fake, user, price)
            changes.deliver()
            assert awards_of(subscription) == [("subscription_credits", 500)]
            assert fulfillment_of(subscription).plan_name == "duo"

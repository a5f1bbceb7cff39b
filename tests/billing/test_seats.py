from __future__ import annotations

from typing import Any

import pytest

from tests.app.models import User
from tests.billing.changing import Changes, day, plans_of
from tests.billing.subscribing import GRACE, awards_of, fulfillment_of, stripe_at, subscribe
from usage_credits import SubscriptionPlan, credits
from usage_credits.models import Fulfillment, Transaction
from usage_credits.testing import FakeStripe, capture_events

pytestmark = [pytest.mark.usefixtures("verified", "per_seat"), pytest.mark.behaviour("PLN-15")]

MONTH = credits(500).every("month")
PLANS = [
    SubscriptionPlan("team", stripe_price="price_team", gives=MONTH, per_seat=True, signup_bonus=100),
    SubscriptionPlan(
        "kept", stripe_price="price_kept", gives=MONTH, per_seat=True, unused_credits="rollover"
    ),
    SubscriptionPlan("big", stripe_price="price_big", gives=credits(1_000).every("month"), per_seat=True),
    SubscriptionPlan("flat", stripe_price="price_flat", gives=credits(1_200).every("month")),
    SubscriptionPlan("year", stripe_price="price_year", gives=credits(800).every("month"), per_seat=True),
    SubscriptionPlan("less", stripe_price="price_less", gives=credits(100).every("month"), per_seat=True),
]
PRICES = {"price_team": 500, "price_kept": 500, "price_big": 1_000, "price_flat": 1_200}
BONUS = ("subscription_signup_bonus", 100)


def cycle(amount: int) -> tuple[str, int]:
    return "subscription_credits", amount


def added(amount: int) -> tuple[str, int]:
    return "subscription_upgrade", amount


@pytest.fixture
def per_seat(fake: FakeStripe, settings: Any) -> None:
    settings.USAGE_CREDITS = {"SUBSCRIPTION_PLANS": PLANS}
    for price, amount in PRICES.items():
        fake.add_price(price, amount=amount)
    for price, amount in (("price_year", 8_000), ("price_less", 1_000)):
        fake.add_price(price, amount=amount, interval="year")


def test_award_for_every_seat(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user, "price_team", quantity=3)
        changes.deliver()
        assert awards_of(subscription) == [BONUS, cycle(1_500)]
        changes.meet(clock, subscription, day(2, 1))
        assert awards_of(subscription) == [BONUS, cycle(1_500), cycle(1_500)]


def test_award_once_whatever_the_quantity_of_another_plan(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user, "price_flat", quantity=3)
        changes.deliver()
        clock.move_to(day(1, 10))
        changes.change(subscription, quantity=9)
        changes.meet(clock, subscription, day(2, 1))
        assert awards_of(subscription) == [cycle(1_200), cycle(1_200)]


@pytest.mark.parametrize("price", ["price_team", "price_kept"])
def test_award_added_seats_at_once_and_each_once(changes: Changes, user: User, price: str) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user, price, quantity=3)
        changes.deliver()
        first = awards_of(subscription)
        for number, quantity in ((10, 5), (11, 3), (12, 5), (13, 4), (14, 6), (15, 4)):
            clock.move_to(day(1, number))
            with capture_events() as events:
                changes.change(subscription, quantity=quantity)
                changes.repeat(subscription)
            assert [event.amount for event in events if event.event == "subscription_credits_awarded"] == (
                {10: [1_000], 14: [500]}.get(number, [])
            )
        assert awards_of(subscription) == [*first, added(1_000), added(500)]
        row = Transaction.objects.latest("pk")
        assert row.metadata["reason"] == "seats_added"
        assert row.expires_at == (None if price == "price_kept" else day(2, 1) + GRACE)
        fulfillment = fulfillment_of(subscription)
        assert (fulfillment.seats, fulfillment.next_fulfillment_at) == (4, day(2, 1))
        for month in (2, 3):
            changes.meet(clock, subscription, day(month, 1))
        assert awards_of(subscription)[len(first) + 2 :] == [cycle(2_000), cycle(2_000)]


def test_award_no_seats_of_the_past_anew(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user, "price_kept", quantity=3)
        changes.deliver()
        clock.move_to(day(1, 10))
        changes.change(subscription, quantity=5)
        changes.meet(clock, subscription, day(2, 1))
        clock.move_to(day(2, 5))
        changes.change(subscription, quantity=3)
        for month in (3, 4):
            changes.meet(clock, subscription, day(month, 1))
            changes.meet(clock, subscription, day(month, 10))
        assert awards_of(subscription) == [
            cycle(1_500),
            added(1_000),
            cycle(2_500),
            cycle(1_500),
            cycle(1_500),
        ]


def test_take_more_seats_for_an_upgrade(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user, "price_flat")
        changes.deliver()
        clock.move_to(day(1, 10))
        changes.change(subscription, "price_big", quantity=3)
        changes.repeat(subscription)
        assert awards_of(subscription) == [cycle(1_200), added(3_000)]
        clock.move_to(day(1, 12))
        changes.change(subscription, quantity=4)
        assert awards_of(subscription)[2:] == [added(1_000)]
        changes.meet(clock, subscription, day(2, 10))
        assert awards_of(subscription)[3:] == [cycle(4_000)]


def test_take_fewer_seats_of_a_larger_plan_for_a_downgrade(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user, "price_team", quantity=4)
        changes.deliver()
        clock.move_to(day(1, 10))
        changes.change(subscription, "price_big", quantity=1)
        assert plans_of(fulfillment_of(subscription)) == ("team", "big", day(2, 1))
        # What the period was awarded for counts: not the one seat that is pending.
        clock.move_to(day(1, 12))
        changes.change(subscription, "price_flat")
        assert plans_of(fulfillment_of(subscription)) == ("team", "flat", day(2, 1))
        clock.move_to(day(1, 14))
        changes.change(subscription, "price_team", quantity=4)
        changes.repeat(subscription)
        assert awards_of(subscription) == [BONUS, cycle(2_000)]
        assert plans_of(fulfillment_of(subscription)) == ("team", "", None)


def test_award_pending_seats_at_the_renewal(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user, "price_big", quantity=3)
        changes.deliver()
        clock.move_to(day(1, 10))
        changes.change(subscription, "price_team", quantity=5)
        changes.repeat(subscription)
        clock.move_to(day(1, 12))
        changes.change(subscription, quantity=7)
        changes.repeat(subscription)
        assert awards_of(subscription) == [cycle(3_000)]
        changes.meet(clock, subscription, day(2, 1))
        assert awards_of(subscription) == [cycle(3_000), cycle(3_500)]


def test_award_pending_seats_not_before_the_plan(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user, "price_year", quantity=2)
        changes.deliver()
        clock.move_to(day(1, 10))
        changes.change(subscription, "price_less", quantity=9)
        assert plans_of(fulfillment_of(subscription)) == ("year", "less", day(1, 1, 2027))
        for month in (2, 3):
            changes.meet(clock, subscription, day(month, 1))
        assert awards_of(subscription) == [cycle(1_600)] * 3
        changes.meet(clock, subscription, day(1, 1, 2027))
        assert awards_of(subscription)[-1] == cycle(900)


def test_award_no_seats_before_they_are_paid(changes: Changes, user: User) -> None:
    fake = changes.fake
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user, "price_team", quantity=2)
        changes.deliver()
        fake.fail_card(subscription["customer"])
        clock.move_to(day(1, 10))
        fake.change_plan(subscription, quantity=40, proration_behavior="always_invoice")
        changes.deliver()
        assert awards_of(subscription) == [BONUS, cycle(1_000)]


def test_convert_with_the_seats_of_the_end_of_the_trial(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user, "price_team", quantity=2, trial_period_days=7)
        changes.deliver()
        clock.move_to(day(1, 3))
        changes.change(subscription, quantity=4)
        assert not Transaction.objects.exists()
        changes.meet(clock, subscription, day(1, 8))
        assert awards_of(subscription) == [BONUS, cycle(2_000)]


@pytest.mark.parametrize("order", ["as it came", "reversed", "reissued first"])
def test_award_seats_the_same_in_whatever_order_they_are_told(
    fake: FakeStripe, user: User, order: str
) -> None:
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user, "price_team", quantity=2)
        fake.deliver_pending()
        known = len(fake.announced)
        for number, quantity in ((10, 5), (12, 3), (14, 6)):
            clock.move_to(day(1, number))
            fake.change_plan(subscription, quantity=quantity)
        told = fake.announced[known:]
        if order == "reversed":
            told.reverse()
        elif order == "reissued first":
            told = [fake.reissue(event) for event in told] + told
        for event in told:
            assert fake.deliver(event) == [200]
        assert user.credits == 100 + 6 * 500
        assert Fulfillment.objects.get().seats_awarded == 6

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.app.models import User
from tests.billing.changing import COLLECTED, PRO, Changes, day
from tests.billing.subscribing import awards_of, stripe_at, subscribe
from usage_credits import SubscriptionPlan, credits
from usage_credits.models import Transaction
from usage_credits.testing import FakeStripe

pytestmark = pytest.mark.usefixtures("verified")

BONUS = "subscription_signup_bonus"


def offer(settings: Any, *, once: bool) -> None:
    settings.USAGE_CREDITS = {
        "SUBSCRIPTION_PLANS": [
            SubscriptionPlan(
                name,
                stripe_price=f"price_{name}",
                gives=credits(amount).every("month"),
                signup_bonus=bonus,
                bonus_once=once,
            )
            for name, amount, bonus in (("pro", 500, 100), ("prem", 2_000, 200))
        ]
    }


def bonuses() -> list[int]:
    return list(Transaction.objects.filter(category=BONUS).order_by("pk").values_list("amount", flat=True))


@pytest.mark.behaviour("SUB-20")
@pytest.mark.parametrize(("once", "expected"), [(True, [100]), (False, [100, 100, 100])])
def test_give_the_bonus_once_for_an_owner_where_the_plan_says_so(
    changes: Changes, user: User, settings: Any, once: bool, expected: list[int]
) -> None:
    offer(settings, once=once)
    with stripe_at(changes.fake) as clock:
        for _time in range(3):
            subscription = subscribe(changes.fake, user)
            changes.deliver()
            assert ("subscription_credits", 500) in awards_of(subscription)
            clock.shift(timedelta(days=2))
            changes.fake.cancel(subscription)
            changes.deliver()
        assert bonuses() == expected


@pytest.mark.behaviour("SUB-20")
def test_give_each_plan_and_each_owner_a_bonus(changes: Changes, user: User, settings: Any) -> None:
    offer(settings, once=True)
    other = User.objects.create(username="bob", email="bob@example.com")
    with stripe_at(changes.fake):
        for owner, price in (
            (user, "price_pro"),
            (user, "price_prem"),
            (user, "price_pro"),
            (other, "price_pro"),
        ):
            subscribe(changes.fake, owner, price)
            changes.deliver()
        assert bonuses() == [100, 200, 100]


@pytest.mark.behaviour("SUB-20", "CHG-01", "CHG-07")
@pytest.mark.parametrize("once", [True, False])
def test_give_no_bonus_for_changes_of_plan(changes: Changes, user: User, settings: Any, once: bool) -> None:
    offer(settings, once=once)
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user)
        changes.deliver()
        for number, price in enumerate(["price_prem", "price_pro", "price_other", "price_prem"], start=5):
            clock.move_to(day(1, number))
            changes.change(subscription, price)
            changes.repeat(subscription)
        for month in (2, 3):
            changes.meet(clock, subscription, day(month, 1))
        assert awards_of(subscription)[:2] == PRO
        assert bonuses() == [100]


@pytest.mark.behaviour("SUB-20", "SUB-15")
def test_give_the_bonus_at_the_conversion_once(changes: Changes, user: User, settings: Any) -> None:
    offer(settings, once=True)
    with stripe_at(changes.fake) as clock:
        for _time in range(2):
            subscription = subscribe(changes.fake, user, trial_period_days=7)
            changes.deliver()
            clock.shift(timedelta(days=7) + COLLECTED)
            changes.fake.catch_up()
            changes.deliver()
            changes.fake.cancel(subscription)
            changes.deliver()
        assert bonuses() == [100]


@pytest.mark.behaviour("SUB-20")
def test_give_the_bonus_once_in_whatever_order_subscriptions_are_told(
    fake: FakeStripe, user: User, settings: Any
) -> None:
    offer(settings, once=True)
    with stripe_at(fake):
        first, second = subscribe(fake, user), subscribe(fake, user)
        for event in reversed(fake.announced):
            assert fake.deliver(event, times=2) == [200, 200]
        assert sorted(awards_of(first) + awards_of(second)) == [
            ("subscription_credits", 500),
            ("subscription_credits", 500),
            (BONUS, 100),
        ]

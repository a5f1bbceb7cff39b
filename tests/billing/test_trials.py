from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.app.models import User
from tests.billing.subscribing import (
    DRAFT,
    GRACE,
    START,
    Notices,
    awards_of,
    fulfillment_of,
    in_every_shape,
    stripe_at,
    subscribe,
)
from usage_credits.models import Fulfillment, PaymentNotice, Transaction
from usage_credits.testing import FakeStripe, capture_events

WEEK = timedelta(days=7)
PAID = START + WEEK
NEXT = datetime(2026, 2, 8, tzinfo=UTC)
TRIAL = ("subscription_trial", 50)
CONVERTED = [TRIAL, ("subscription_signup_bonus", 100), ("subscription_credits", 500)]


@in_every_shape
@pytest.mark.behaviour("SUB-12")
def test_give_trial_credits_until_the_trial_ends(notices: Notices, user: User) -> None:
    with stripe_at(notices.fake) as clock:
        subscription = subscribe(notices.fake, user, trial_period_days=7)
        notices.deliver()
        notices.repeat(subscription)
        assert awards_of(subscription) == [TRIAL]
        assert Transaction.objects.get().expires_at == PAID
        fulfillment = fulfillment_of(subscription)
        assert fulfillment.next_fulfillment_at == NEXT
        assert fulfillment.credits_last_awarded == 50
        assert user.credits == 50
        clock.move_to(PAID)
        assert user.credits == 0


def test_tell_of_trial_credits(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake), capture_events() as events:
        subscribe(fake, user, trial_period_days=7)
        fake.deliver_pending()
    assert [(event.event, event.amount) for event in events] == [
        ("credits_added", 50),
        ("subscription_credits_awarded", 50),
    ]
    assert events[-1].reason == "trial"
    assert events[-1].metadata is not None
    assert events[-1].metadata["status"] == "trialing"


@pytest.mark.behaviour("SUB-13")
def test_keep_a_trial_without_credits(notices: Notices, user: User) -> None:
    with stripe_at(notices.fake), capture_events() as events:
        subscription = subscribe(notices.fake, user, "price_prem", trial_period_days=7)
        notices.deliver()
        assert fulfillment_of(subscription).next_fulfillment_at == NEXT
    assert not Transaction.objects.exists()
    assert events == []


@pytest.mark.behaviour("SUB-14")
def test_end_trial_credits_with_the_period_where_the_trial_names_no_end(notices: Notices, user: User) -> None:
    with stripe_at(notices.fake):
        subscription = subscribe(notices.fake, user, trial_period_days=7)
        subscription["trial_end"] = None
        notices.repeat(subscription)
        assert awards_of(subscription) == [TRIAL]
        assert Transaction.objects.get().expires_at == PAID


@pytest.mark.behaviour("SUB-14")
def test_refuse_trial_credits_that_would_never_expire(fake: FakeStripe, user: User) -> None:
    told = Notices(fake, "state alone")
    with stripe_at(fake):
        subscription = subscribe(fake, user, trial_period_days=7)
        subscription["trial_end"] = None
        for item in subscription["items"]["data"]:
            item.update(current_period_end=None)
        told.repeat(subscription)
    assert not Transaction.objects.exists()


@in_every_shape
@pytest.mark.behaviour("SUB-15", "DEC-07")
@pytest.mark.parametrize("late", [timedelta(0), timedelta(days=14)])
def test_convert_a_trial_on_time(notices: Notices, user: User, late: timedelta) -> None:
    fake = notices.fake
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user, trial_period_days=7)
        notices.deliver()
        clock.move_to(PAID)
        fake.catch_up()
        clock.move_to(PAID + late)
        notices.deliver()
        notices.repeat(subscription)
        assert awards_of(subscription) == CONVERTED
        cycle = Transaction.objects.get(category="subscription_credits")
        assert (cycle.grid_date, cycle.expires_at) == (PAID, NEXT + GRACE)
        assert Transaction.objects.get(category="subscription_signup_bonus").expires_at is None
        assert fulfillment_of(subscription).next_fulfillment_at == NEXT
        assert user.credits == 600


@pytest.mark.behaviour("SUB-15")
def test_convert_a_trial_that_was_never_heard_of(notices: Notices, user: User) -> None:
    with stripe_at(notices.fake) as clock:
        subscription = subscribe(notices.fake, user, trial_period_days=7)
        clock.move_to(PAID)
        notices.fake.catch_up()
        notices.deliver()
        assert awards_of(subscription) == CONVERTED[1:]
        assert fulfillment_of(subscription).next_fulfillment_at == NEXT


@pytest.mark.behaviour("SUB-16")
def test_convert_a_trial_that_was_ended_early(notices: Notices, user: User) -> None:
    fake = notices.fake
    early = START + timedelta(days=3)
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user, trial_period_days=7)
        notices.deliver()
        user.wallet().debit(20)
        clock.move_to(early)
        fake.end_trial(subscription)
        notices.deliver()
        notices.repeat(subscription)
        assert awards_of(subscription) == CONVERTED
        cycle = Transaction.objects.get(category="subscription_credits")
        assert (cycle.grid_date, cycle.expires_at) == (early, datetime(2026, 2, 4, tzinfo=UTC) + GRACE)
        assert user.credits == 630
        clock.move_to(PAID)
        assert user.credits == 600


def test_award_nothing_when_the_first_payment_after_a_trial_fails(notices: Notices, user: User) -> None:
    fake = notices.fake
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user, trial_period_days=7)
        notices.deliver()
        fake.fail_card(subscription["customer"])
        clock.move_to(PAID + DRAFT)
        fake.catch_up()
        assert subscription["status"] == "past_due"
        notices.deliver()
        assert awards_of(subscription) == [TRIAL]
        assert user.credits == 0
        clock.shift(timedelta(days=2))
        fake.mend_card(subscription["customer"])
        fake.retry(subscription["latest_invoice"])
        notices.deliver()
        assert awards_of(subscription) == CONVERTED
        assert fulfillment_of(subscription).next_fulfillment_at == NEXT


@pytest.mark.behaviour("SUB-17")
@pytest.mark.parametrize("at_period_end", [True, False])
def test_give_nothing_after_a_canceled_trial(notices: Notices, user: User, at_period_end: bool) -> None:
    fake = notices.fake
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user, trial_period_days=7)
        notices.deliver()
        clock.shift(timedelta(days=2))
        fake.cancel(subscription, at_period_end=at_period_end)
        notices.deliver()
        assert user.credits == 50
        clock.move_to(PAID)
        fake.catch_up()
        notices.deliver()
        assert user.credits == 0
        clock.move_to(NEXT)
        notices.repeat(subscription)
        assert awards_of(subscription) == [TRIAL]
        fulfillment = fulfillment_of(subscription)
        assert (fulfillment.is_active, fulfillment.stop_reason) == (False, "canceled")
        assert fulfillment.next_fulfillment_at is None


@in_every_shape
@pytest.mark.behaviour("SUB-18")
@pytest.mark.parametrize("told_of_change", [True, False])
def test_convert_to_the_plan_chosen_while_trying(notices: Notices, user: User, told_of_change: bool) -> None:
    fake = notices.fake
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user, trial_period_days=7)
        notices.deliver()
        clock.shift(timedelta(days=2))
        fake.change_plan(subscription, "price_prem")
        if told_of_change:
            notices.deliver()
            assert awards_of(subscription) == [TRIAL]
            assert fulfillment_of(subscription).next_fulfillment_at == NEXT
        clock.move_to(PAID)
        fake.catch_up()
        notices.deliver()
        assert awards_of(subscription) == [
            TRIAL,
            ("subscription_signup_bonus", 200),
            ("subscription_credits", 2_000),
        ]
        fulfillment = fulfillment_of(subscription)
        assert (fulfillment.plan_name, fulfillment.next_fulfillment_at) == ("prem", NEXT)
        clock.move_to(NEXT)
        fake.catch_up()
        notices.deliver()
        assert awards_of(subscription)[3:] == [("subscription_credits", 2_000)]


def test_follow_a_trial_that_is_extended(notices: Notices, user: User) -> None:
    fake = notices.fake
    later = PAID + WEEK
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user, trial_period_days=7)
        notices.deliver()
        subscription["trial_end"] = int(later.timestamp())
        for item in subscription["items"]["data"]:
            item["current_period_end"] = int(later.timestamp())
        notices.repeat(subscription)
        assert awards_of(subscription) == [TRIAL]
        clock.move_to(later)
        fake.catch_up()
        notices.deliver()
        assert awards_of(subscription) == CONVERTED


def test_leave_nothing_of_a_trial_of_another_product(notices: Notices, user: User) -> None:
    with stripe_at(notices.fake):
        subscribe(notices.fake, user, "price_other", trial_period_days=7)
        notices.deliver()
    assert not Fulfillment.objects.exists()
    assert not PaymentNotice.objects.exists()

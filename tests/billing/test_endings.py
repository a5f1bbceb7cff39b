from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from django.core.management import call_command

from tests.app.models import User
from tests.billing.subscribing import (
    DRAFT,
    START,
    Notices,
    awards_of,
    fulfillment_of,
    in_every_shape,
    latest_event,
    stripe_at,
    subscribe,
)
from usage_credits import SubscriptionPlan, credits
from usage_credits.ledger.verification import verify
from usage_credits.models import Transaction
from usage_credits.testing import FakeStripe, capture_events

FEB, MAR, APR = (datetime(2026, month, 1, tzinfo=UTC) for month in (2, 3, 4))
MID = START + timedelta(days=14)
MINUTE = timedelta(minutes=1)
FIRST = [("subscription_signup_bonus", 100), ("subscription_credits", 500)]


def run_job() -> None:
    call_command("fulfill_credits", verbosity=0, stdout=io.StringIO())


def sell(settings: Any, **options: Any) -> None:
    plan = SubscriptionPlan(
        "pro",
        stripe_price="price_pro",
        gives=credits(500).every("month"),
        signup_bonus=100,
        **options,
    )
    settings.USAGE_CREDITS = {"SUBSCRIPTION_PLANS": [plan]}


@in_every_shape
@pytest.mark.behaviour("REN-09")
def test_end_with_the_period(notices: Notices, user: User) -> None:
    with stripe_at(notices.fake) as clock:
        subscription = subscribe(notices.fake, user)
        notices.deliver()
        clock.move_to(MID)
        notices.fake.cancel(subscription, at_period_end=True)
        notices.deliver()
        fulfillment = fulfillment_of(subscription)
        assert (fulfillment.stops_at, fulfillment.stop_reason) == (FEB, "canceled")
        assert fulfillment.is_active
        clock.move_to(FEB + MINUTE)
        notices.fake.catch_up()
        notices.deliver()
        run_job()
        assert awards_of(subscription) == FIRST
        assert user.credits == 600
        clock.shift(timedelta(minutes=5))
        assert user.credits == 100
        fulfillment = fulfillment_of(subscription)
        assert (fulfillment.stops_at, fulfillment.next_fulfillment_at) == (FEB, None)


@pytest.mark.behaviour("REN-09")
def test_stop_at_the_end_that_was_set_before_the_period_ends(notices: Notices, user: User) -> None:
    with stripe_at(notices.fake) as clock:
        notices.fake.add_price("price_roll", amount=50_000, interval="year")
        subscription = subscribe(notices.fake, user, "price_roll")
        subscription["cancel_at"] = int((FEB + timedelta(days=3)).timestamp())
        notices.deliver()
        for moment in (FEB, MAR):
            clock.move_to(moment)
            run_job()
            notices.repeat(subscription)
        assert awards_of(subscription) == [("subscription_credits", 1_000)] * 2
        assert fulfillment_of(subscription).stops_at == FEB + timedelta(days=3)


@in_every_shape
@pytest.mark.behaviour("REN-10", "REN-17")
@pytest.mark.parametrize("late", [timedelta(0), timedelta(days=14)])
def test_end_at_once_and_take_nothing_back(notices: Notices, user: User, late: timedelta) -> None:
    with stripe_at(notices.fake) as clock:
        subscription = subscribe(notices.fake, user)
        notices.deliver()
        clock.move_to(MID)
        notices.fake.cancel(subscription)
        assert latest_event(notices.fake, subscription)["type"] == "customer.subscription.deleted"
        clock.shift(late)
        notices.deliver()
        notices.repeat(subscription)
        fulfillment = fulfillment_of(subscription)
        assert (fulfillment.stops_at, fulfillment.stop_reason) == (MID, "canceled")
        assert fulfillment.next_fulfillment_at is None
        assert user.credits == 600
        clock.move_to(FEB)
        run_job()
        assert awards_of(subscription) == FIRST


@pytest.mark.behaviour("REN-17")
def test_end_what_stripe_knows_no_longer(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user)
        fake.deliver_pending()
        clock.move_to(MID)
        fake.cancel(subscription)
        event = latest_event(fake, subscription)
        fake.remove("subscription", subscription)
        assert fake.deliver(event) == [200]
        assert fulfillment_of(subscription).stops_at == MID


@pytest.mark.behaviour("REN-17")
def test_stop_for_good_whatever_older_notice_comes_after(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user)
        fake.deliver_pending()
        earlier = latest_event(fake, subscription)
        clock.move_to(MID)
        fake.cancel(subscription)
        fake.deliver_pending()
        for event in fake.announced:
            assert fake.deliver(fake.reissue(event)) == [200]
        fake.remove("subscription", subscription)
        assert fake.deliver(fake.reissue(earlier)) == [200]
        fulfillment = fulfillment_of(subscription)
        assert (fulfillment.stops_at, fulfillment.stop_reason) == (MID, "canceled")
        assert fulfillment.next_fulfillment_at is None
        clock.move_to(FEB)
        run_job()
        assert awards_of(subscription) == FIRST


@pytest.mark.behaviour("REN-11")
@pytest.mark.parametrize("at_period_end", [True, False])
def test_forget_a_pending_plan_at_the_end(notices: Notices, user: User, at_period_end: bool) -> None:
    fake = notices.fake
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user, "price_prem")
        notices.deliver()
        clock.move_to(MID)
        fake.change_plan(subscription, "price_pro")
        notices.deliver()
        assert fulfillment_of(subscription).pending_plan == "pro"
        clock.shift(timedelta(days=1))
        fake.cancel(subscription, at_period_end=at_period_end)
        clock.move_to(FEB)
        fake.catch_up()
        notices.deliver()
        clock.move_to(MAR)
        run_job()
        notices.repeat(subscription)
        fulfillment = fulfillment_of(subscription)
        assert (fulfillment.plan_name, fulfillment.pending_plan) == ("prem", "")
        assert [amount for _category, amount in awards_of(subscription)] == [200, 2_000]


@pytest.mark.behaviour("REN-12")
@pytest.mark.parametrize("at_period_end", [True, False])
def test_stop_although_the_plan_has_gone_from_settings(
    notices: Notices, user: User, settings: Any, at_period_end: bool
) -> None:
    offered = settings.USAGE_CREDITS
    with stripe_at(notices.fake) as clock:
        subscription = subscribe(notices.fake, user)
        notices.deliver()
        settings.USAGE_CREDITS = {}
        clock.move_to(MID)
        notices.fake.cancel(subscription, at_period_end=at_period_end)
        notices.deliver()
        fulfillment = fulfillment_of(subscription)
        assert fulfillment.stops_at == (FEB if at_period_end else MID)
        assert fulfillment.stop_reason == "canceled"
        settings.USAGE_CREDITS = offered
        clock.move_to(MAR)
        run_job()
        assert awards_of(subscription) == FIRST


@pytest.mark.behaviour("REN-14")
def test_end_what_was_never_paid(notices: Notices, user: User) -> None:
    fake = notices.fake
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user)
        notices.deliver()
        fake.fail_card(subscription["customer"])
        clock.move_to(FEB + DRAFT)
        fake.catch_up()
        notices.deliver()
        clock.shift(timedelta(days=14))
        fake.end_dunning(subscription)
        notices.deliver()
        fulfillment = fulfillment_of(subscription)
        assert fulfillment.stop_reason == "canceled"
        assert fulfillment.next_fulfillment_at is None
        assert not fulfillment.is_active
        assert awards_of(subscription) == FIRST
        assert user.credits == 100


@pytest.mark.behaviour("PLN-13", "PLN-14")
@pytest.mark.parametrize("late", [timedelta(0), timedelta(days=2)])
@pytest.mark.parametrize(
    ("unused", "delay", "lasts"),
    [
        ("rollover", timedelta(days=30), timedelta(days=30)),
        ("rollover", 0, timedelta(0)),
        ("expire", timedelta(days=7), timedelta(days=7)),
    ],
)
def test_let_credits_expire_some_time_after_the_end(
    notices: Notices,
    user: User,
    settings: Any,
    unused: Literal["expire", "rollover"],
    delay: Any,
    lasts: timedelta,
    late: timedelta,
) -> None:
    sell(settings, unused_credits=unused, expire_after=delay)
    with stripe_at(notices.fake) as clock:
        subscription = subscribe(notices.fake, user)
        notices.deliver()
        user.give_credits(70, reason="referral")
        user.wallet().credit(30, category="credit_pack_purchase")
        user.wallet().debit(10)
        clock.move_to(MID)
        notices.fake.cancel(subscription)
        clock.shift(late)
        notices.deliver()
        notices.repeat(subscription)
        ends = max(MID + lasts, MID + late)
        fulfillment = fulfillment_of(subscription)
        assert fulfillment.credits_expire_at == ends
        clock.move_to(max(ends - MINUTE, MID + late))
        assert user.credits == (690 if ends > MID + late else 100)
        clock.move_to(ends)
        notices.repeat(subscription)
        assert user.credits == 100
        assert fulfillment_of(subscription).credits_expire_at == ends
        assert list(verify()) == []


@pytest.mark.behaviour("PLN-13")
def test_keep_credits_after_the_end_unless_told(notices: Notices, user: User, settings: Any) -> None:
    sell(settings, unused_credits="rollover")
    with stripe_at(notices.fake) as clock:
        subscription = subscribe(notices.fake, user)
        notices.deliver()
        clock.move_to(MID)
        notices.fake.cancel(subscription)
        notices.deliver()
        clock.move_to(MID + timedelta(days=900))
        assert user.credits == 600


@pytest.mark.behaviour("PLN-14")
def test_never_lengthen_what_expires_sooner(notices: Notices, user: User, settings: Any) -> None:
    sell(settings, expire_after=timedelta(days=90))
    with stripe_at(notices.fake) as clock:
        subscription = subscribe(notices.fake, user)
        notices.deliver()
        clock.move_to(MID)
        notices.fake.cancel(subscription)
        notices.deliver()
        clock.move_to(FEB + timedelta(minutes=5))
        assert user.credits == 100
        clock.move_to(MID + timedelta(days=90))
        assert user.credits == 0


@pytest.mark.behaviour("PLN-14")
def test_start_the_delay_when_the_subscription_has_ended(notices: Notices, user: User, settings: Any) -> None:
    sell(settings, unused_credits="rollover", expire_after=timedelta(days=30))
    fake = notices.fake
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user)
        notices.deliver()
        clock.move_to(MID)
        fake.cancel(subscription, at_period_end=True)
        notices.deliver()
        assert fulfillment_of(subscription).credits_expire_at is None
        fake.uncancel(subscription)
        notices.deliver()
        fake.cancel(subscription, at_period_end=True)
        clock.move_to(FEB)
        fake.catch_up()
        notices.deliver()
        assert fulfillment_of(subscription).credits_expire_at == FEB + timedelta(days=30)
        assert user.credits == 600


@pytest.fixture
def ended_late(notices: Notices, user: User) -> Iterator[dict[str, Any]]:
    """A subscription for a year that ended two weeks before the job's last award, which nobody has told us."""
    with stripe_at(notices.fake) as clock:
        notices.fake.add_price("price_pro", amount=29_000, interval="year")
        subscription = subscribe(notices.fake, user)
        notices.deliver()
        clock.move_to(MID)
        notices.fake.cancel(subscription)
        clock.move_to(FEB)
        run_job()
        clock.shift(timedelta(hours=1))
        assert awards_of(subscription) == [*FIRST, FIRST[1]]
        yield subscription


def test_take_back_an_award_after_the_end(notices: Notices, user: User, ended_late: dict[str, Any]) -> None:
    user.give_credits(40, reason="referral")
    user.wallet().debit(20)
    with capture_events() as events:
        notices.deliver()
    row = Transaction.objects.latest("pk")
    assert (row.amount, row.category, row.fulfillment) == (-480, "reversal", fulfillment_of(ended_late))
    assert row.metadata["reason"] == "not_due"
    assert row.metadata["subscription_id"] == ended_late["id"]
    assert row.metadata["grid_dates"] == [FEB.isoformat()]
    assert row.metadata["not_due_after"] == MID.isoformat()
    (allocation,) = row.allocations.all()
    assert (allocation.lot.transaction.grid_date, allocation.amount) == (FEB, 480)
    assert [(event.event, event.amount) for event in events] == [("credits_deducted", 480)]
    assert user.credits == 140
    notices.repeat(ended_late)
    assert user.credits == 140
    assert list(verify()) == []


def test_leave_what_was_spent_of_an_award_after_the_end(
    notices: Notices, user: User, ended_late: dict[str, Any]
) -> None:
    user.wallet().debit(550)
    notices.deliver()
    assert user.credits == 50
    assert not Transaction.objects.filter(category="reversal").exists()
    assert fulfillment_of(ended_late).next_fulfillment_at is None


def test_take_back_an_award_of_the_plan_that_had_been_left(notices: Notices, user: User) -> None:
    changed = FEB - timedelta(days=1)
    fake = notices.fake
    with stripe_at(fake) as clock:
        fake.add_price("price_pro", amount=29_000, interval="year")
        fake.add_price("price_prem", amount=99_000, interval="year")
        subscription = subscribe(fake, user)
        notices.deliver()
        clock.move_to(changed)
        fake.change_plan(subscription, "price_prem")
        clock.move_to(FEB)
        run_job()
        clock.shift(timedelta(hours=1))
        notices.deliver()
        notices.repeat(subscription)
        assert awards_of(subscription) == [
            *FIRST,
            FIRST[1],
            ("subscription_upgrade", 2_000),
            ("reversal", -500),
        ]
        assert user.credits == 2_100
        assert fulfillment_of(subscription).next_fulfillment_at == datetime(2026, 2, 28, tzinfo=UTC)
        assert list(verify()) == []

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from djstripe.models import Customer

from tests.app.models import Studio, Team, User
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
from usage_credits.billing.stripe_customers import ensure_customer
from usage_credits.models import Fulfillment, Transaction, Wallet
from usage_credits.testing import FakeStripe, capture_events

FEB, MAR = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
FIRST = [("subscription_signup_bonus", 100), ("subscription_credits", 500)]


@in_every_shape
@pytest.mark.behaviour("SUB-01", "SUB-21", "DEC-07")
def test_award_bonus_and_first_cycle_at_the_start(notices: Notices, user: User) -> None:
    with stripe_at(notices.fake):
        subscription = subscribe(notices.fake, user)
        notices.deliver()
        assert awards_of(subscription) == FIRST
        assert user.credits == 600
        fulfillment = fulfillment_of(subscription)
    assert (fulfillment.kind, fulfillment.plan_name, fulfillment.credits_last_awarded) == (
        "subscription",
        "pro",
        600,
    )
    assert fulfillment.last_fulfilled_at == START
    assert fulfillment.next_fulfillment_at == fulfillment.stops_at == FEB
    assert fulfillment.metadata["subscription_id"] == subscription["id"]
    assert fulfillment.metadata["price_id"] == "price_pro"
    bonus, cycle = fulfillment.transactions.order_by("pk")
    assert (bonus.expires_at, cycle.expires_at) == (None, FEB + GRACE)
    assert (bonus.grid_date, cycle.grid_date) == (None, START)
    for row in (bonus, cycle):
        assert row.metadata["subscription_id"] == subscription["id"]
        assert row.metadata["price_id"] == "price_pro"


@pytest.mark.behaviour("SUB-01")
def test_stop_at_the_end_that_is_known_from_the_start(notices: Notices, user: User) -> None:
    end = START + timedelta(days=10)
    with stripe_at(notices.fake):
        subscription = subscribe(notices.fake, user, cancel_at=int(end.timestamp()))
        notices.deliver()
        assert awards_of(subscription) == FIRST
        assert fulfillment_of(subscription).stops_at == end


@pytest.mark.behaviour("SUB-02", "EVT-03", "EVT-08", "EVT-20")
def test_tell_of_the_first_award_once(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake), capture_events() as events:
        subscription = subscribe(fake, user)
        fake.deliver_pending()
    assert [(event.event, event.amount) for event in events] == [
        ("credits_added", 100),
        ("credits_added", 500),
        ("subscription_credits_awarded", 600),
    ]
    award = events[-1]
    last = Transaction.objects.latest("pk")
    assert award.transaction == last
    assert award.transaction.pk == last.pk
    assert award.fulfillment == fulfillment_of(subscription)
    assert award.metadata is not None
    assert award.metadata["is_reactivation"] is False
    assert award.metadata["status"] == "active"
    assert award.metadata["plan_name"] == award.metadata["plan"].name == "pro"
    assert award.metadata["subscription"]["id"] == subscription["id"]
    assert award.metadata["fulfillment_period"] == "P1M"


@pytest.mark.behaviour("SUB-03")
def test_let_credits_that_are_kept_never_expire(notices: Notices, user: User) -> None:
    with stripe_at(notices.fake):
        subscription = subscribe(notices.fake, user, "price_roll")
        notices.deliver()
        row = fulfillment_of(subscription).transactions.get()
    assert (row.amount, row.expires_at) == (1_000, None)


@pytest.mark.behaviour("SUB-04", "SUB-10", "DEC-07")
@pytest.mark.parametrize("late", [timedelta(days=2), timedelta(days=14)])
def test_expire_by_the_grid_however_late_the_notice(notices: Notices, user: User, late: timedelta) -> None:
    with stripe_at(notices.fake) as clock:
        subscription = subscribe(notices.fake, user)
        clock.move_to(START + late)
        notices.deliver()
        assert awards_of(subscription) == FIRST
        row = Transaction.objects.get(amount=500)
    assert row.expires_at == FEB + GRACE
    assert row.grid_date == START
    assert fulfillment_of(subscription).next_fulfillment_at == FEB


@pytest.mark.behaviour("SUB-05", "SUB-07")
@pytest.mark.parametrize("sold_here", [True, False])
def test_award_the_running_cycle_of_a_long_period(notices: Notices, user: User, sold_here: bool) -> None:
    metadata = {"usage_credits_owner": f"app.user:{user.pk}"} if sold_here else {}
    with stripe_at(notices.fake, datetime(2026, 1, 31, 12, tzinfo=UTC)) as clock:
        notices.fake.add_price("price_pro", amount=29_000, interval="year")
        subscription = subscribe(notices.fake, user, metadata=metadata)
        clock.move_to(datetime(2026, 3, 31, 13, tzinfo=UTC))
        notices.deliver()
        cycle = Transaction.objects.get(amount=500)
        assert cycle.grid_date == datetime(2026, 3, 31, 12, tzinfo=UTC)
        assert cycle.expires_at == datetime(2026, 4, 30, 12, 5, tzinfo=UTC)
        assert awards_of(subscription) == FIRST
        assert fulfillment_of(subscription).next_fulfillment_at == datetime(2026, 4, 30, 12, tzinfo=UTC)


@pytest.mark.behaviour("SUB-06")
def test_count_from_now_where_no_period_is_known(fake: FakeStripe, user: User) -> None:
    told = Notices(fake, "state alone")
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user)
        for item in subscription["items"]["data"]:
            item.update(current_period_start=None, current_period_end=None)
        told.deliver()
        fulfillment = fulfillment_of(subscription)
        assert (fulfillment.last_fulfilled_at, fulfillment.next_fulfillment_at) == (START, FEB)
        assert fulfillment.stops_at is None
        clock.shift(timedelta(days=3))
        told.repeat(subscription)
        assert awards_of(subscription) == FIRST
        assert fulfillment_of(subscription).next_fulfillment_at == FEB


@pytest.mark.behaviour("SUB-08")
@pytest.mark.parametrize(
    "status", ["incomplete", "incomplete_expired", "past_due", "unpaid", "canceled", "paused"]
)
def test_award_nothing_at_first_sight_unless_active(notices: Notices, user: User, status: str) -> None:
    with stripe_at(notices.fake):
        customer = ensure_customer(user)
        notices.fake.fail_card(customer)
        subscription = subscribe(notices.fake, user)
        subscription["status"] = status
        notices.repeat(subscription)
        assert not Transaction.objects.exists()
        assert not Fulfillment.objects.exists()


@in_every_shape
@pytest.mark.behaviour("SUB-08", "TOK-20")
def test_award_once_when_the_first_payment_succeeds(notices: Notices, user: User) -> None:
    fake = notices.fake
    with stripe_at(fake) as clock:
        fake.fail_card(ensure_customer(user))
        subscription = subscribe(fake, user)
        notices.deliver()
        assert not Fulfillment.objects.exists()
        clock.shift(timedelta(hours=2))
        fake.mend_card(subscription["customer"])
        fake.retry(subscription["latest_invoice"])
        notices.deliver()
        notices.repeat(subscription)
        assert awards_of(subscription) == FIRST
        assert fulfillment_of(subscription).next_fulfillment_at == FEB


@pytest.mark.behaviour("SUB-09")
def test_ignore_a_price_that_is_in_no_plan(notices: Notices, user: User) -> None:
    with stripe_at(notices.fake):
        subscribe(notices.fake, user, "price_other")
        notices.deliver()
    assert not Fulfillment.objects.exists()
    assert not Transaction.objects.exists()


@pytest.mark.behaviour("SUB-09")
def test_open_the_wallet_of_a_subscriber_without_one(notices: Notices) -> None:
    studio = Studio.objects.create(name="atelier")
    with stripe_at(notices.fake):
        subscribe(notices.fake, studio)
        assert not Wallet.objects.exists()
        notices.deliver()
        assert studio.credits == 600


def test_award_a_team_whose_key_is_a_uuid(notices: Notices) -> None:
    team = Team.objects.create(name="crew")
    with stripe_at(notices.fake):
        subscription = subscribe(notices.fake, team)
        notices.deliver()
        assert awards_of(subscription) == FIRST
        assert team.credits == 600


@pytest.mark.behaviour("SUB-10", "DEC-20")
def test_award_once_whatever_is_delivered_again(notices: Notices, user: User) -> None:
    fake = notices.fake
    with stripe_at(fake):
        subscription = subscribe(fake, user)
        notices.deliver()
        for event in fake.announced:
            fake.deliver(event)
        for _time in range(2):
            notices.repeat(subscription)
        assert awards_of(subscription) == FIRST
        assert Fulfillment.objects.count() == 1


def test_award_the_same_from_the_last_notice_to_the_first(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake):
        subscription = subscribe(fake, user)
        for event in reversed(fake.announced):
            assert fake.deliver(event) == [200]
        assert awards_of(subscription) == FIRST


@pytest.mark.behaviour("SUB-19")
def test_award_two_subscriptions_of_one_owner_independently(notices: Notices, user: User) -> None:
    with stripe_at(notices.fake) as clock:
        first = subscribe(notices.fake, user)
        clock.shift(timedelta(days=3))
        second = subscribe(notices.fake, user)
        notices.deliver()
        assert awards_of(first) == awards_of(second) == FIRST
        assert fulfillment_of(first).next_fulfillment_at == FEB
        assert fulfillment_of(second).next_fulfillment_at == FEB + timedelta(days=3)
        assert user.credits == 1_200


@pytest.mark.behaviour("SUB-20")
@pytest.mark.parametrize(("once", "bonuses"), [(False, 2), (True, 1)])
def test_give_the_bonus_again_unless_once_for_an_owner(
    notices: Notices, user: User, settings: Any, once: bool, bonuses: int
) -> None:
    plan = SubscriptionPlan(
        "pro",
        stripe_price="price_pro",
        gives=credits(500).every("month"),
        signup_bonus=100,
        bonus_once=once,
    )
    settings.USAGE_CREDITS = {"SUBSCRIPTION_PLANS": [plan]}
    with stripe_at(notices.fake) as clock:
        first = subscribe(notices.fake, user)
        notices.deliver()
        clock.shift(timedelta(days=1))
        notices.fake.cancel(first)
        subscribe(notices.fake, user)
        notices.deliver()
    rows = Transaction.objects.filter(category="subscription_signup_bonus")
    assert rows.count() == bonuses
    assert Transaction.objects.filter(category="subscription_credits").count() == 2


def _standing() -> dict[str, Any]:
    """Return the columns of the only fulfillment, but for the count of its reports."""
    columns = Fulfillment.objects.values().get()
    return {name: value for name, value in columns.items() if name != "revision"}


@pytest.mark.behaviour("SUB-22")
def test_move_nothing_backwards_by_an_older_state(fake: FakeStripe, user: User) -> None:
    told = Notices(fake, "state alone")
    with stripe_at(fake, datetime(2026, 2, 20, tzinfo=UTC)):
        subscription = subscribe(fake, user)
        set_period(subscription, FEB, MAR)
        told.deliver()
        before = _standing()
        for start, end in ((START, FEB), (FEB, FEB + timedelta(days=20))):
            set_period(subscription, start, end)
            told.repeat(subscription)
            assert _standing() == before
        assert awards_of(subscription) == FIRST


@pytest.mark.behaviour("WAL-27")
def test_list_the_plans_of_running_subscriptions(notices: Notices, user: User, settings: Any) -> None:
    fake = notices.fake
    newcomer = Studio.objects.create(name="new")
    assert newcomer.credit_subscriptions == []
    with stripe_at(fake) as clock:
        first, _second = subscribe(fake, user), subscribe(fake, user, "price_roll")
        notices.deliver()
        assert [plan.name for plan in user.credit_subscriptions] == ["pro", "roll"]
        clock.shift(timedelta(days=1))
        fake.cancel(first)
        notices.deliver()
        assert [plan.name for plan in user.credit_subscriptions] == ["roll"]
        settings.USAGE_CREDITS = {}
        assert user.credit_subscriptions == []


def test_keep_the_wallet_when_the_customer_is_deleted(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user, "price_roll")
        fake.deliver_pending()
        clock.move_to(FEB + DRAFT)
        fake.catch_up()
        for endpoint in fake.all("webhook_endpoint"):
            endpoint["enabled_events"] = ["*"]
        gone = fake.reissue(fake.event("customer.created"))
        gone.update(type="customer.deleted")
        assert fake.deliver(gone) == [200]
        assert Customer.objects.get().subscriber is None
        Customer.objects.update(metadata={})
        assert set(fake.deliver_pending()) == {200}
        assert awards_of(subscription) == [("subscription_credits", 1_000)] * 2
        assert user.credits == 2_000
        assert fulfillment_of(subscription).stop_reason == "canceled"

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models.signals import pre_save
from djstripe.models import Customer, Event
from djstripe.signals import WEBHOOK_SIGNALS

from tests.app.models import User
from tests.billing.subscribing import (
    DRAFT,
    START,
    Notices,
    awards_of,
    fulfillment_of,
    stripe_at,
    subscribe,
)
from usage_credits import SubscriptionPlan, credits
from usage_credits.billing.stripe_customers import ensure_customer
from usage_credits.models import Fulfillment, PaymentNotice, Transaction
from usage_credits.testing import FakeStripe, capture_events

FEB, MAR = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
FIRST = [("subscription_signup_bonus", 100), ("subscription_credits", 500)]
CYCLE = ("subscription_credits", 500)


@contextmanager
def failing_after_us(name: str) -> Iterator[None]:
    """Let a receiver of the project's fail after ours, at events of this type."""

    def fail(**kwargs: Any) -> None:
        assert Fulfillment.objects.exists()
        raise RuntimeError("the project's own bookkeeping failed")

    WEBHOOK_SIGNALS[name].connect(fail)
    try:
        yield
    finally:
        WEBHOOK_SIGNALS[name].disconnect(fail)


@contextmanager
def failing_to_save() -> Iterator[None]:
    """Let the fulfillment be refused when what it awarded has been worked out."""

    def fail(instance: Fulfillment, **kwargs: Any) -> None:
        if instance.pk:
            raise RuntimeError("the database went away")

    pre_save.connect(fail, sender=Fulfillment)
    try:
        yield
    finally:
        pre_save.disconnect(fail, sender=Fulfillment)


def subscribe_as_nobody(fake: FakeStripe, user: User) -> tuple[dict[str, Any], dict[str, str]]:
    """Subscribe a customer whose owner is not known; return the subscription and the metadata that names the owner."""
    customer = fake.get("customer", ensure_customer(user))
    owner, customer["metadata"] = customer["metadata"], {}
    redeliver(fake)
    Customer.objects.update(subscriber=None, metadata={})
    return fake.subscribe(customer, "price_pro"), owner


def redeliver(fake: FakeStripe) -> None:
    assert set(fake.deliver_pending()) <= {200}


@pytest.mark.behaviour("SUB-11", "REN-16")
def test_leave_nothing_behind_when_a_first_award_fails(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake):
        subscription = subscribe(fake, user)
        for failing in (failing_after_us("customer.subscription.created"), failing_to_save()):
            with failing, capture_events() as events:
                assert fake.deliver(fake.event("customer.subscription.created")) == [500]
            assert events == []
            assert not Fulfillment.objects.exists()
            assert not Transaction.objects.exists()
            assert not Event.objects.filter(type="customer.subscription.created").exists()
            assert user.credits == 0
        assert fake.deliver(fake.event("customer.subscription.created")) == [200]
        redeliver(fake)
        assert awards_of(subscription) == FIRST


@pytest.mark.behaviour("REN-15", "REN-16")
def test_leave_nothing_behind_when_a_renewal_fails(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user)
        redeliver(fake)
        before = Fulfillment.objects.values().get()
        clock.move_to(FEB + DRAFT)
        fake.catch_up()
        paid = fake.event("invoice.paid")
        for failing in (failing_after_us("invoice.paid"), failing_to_save()):
            with failing:
                assert fake.deliver(paid) == [500]
            assert Fulfillment.objects.values().get() == before
            assert awards_of(subscription) == FIRST
        assert fake.deliver(paid) == [200]
        redeliver(fake)
        assert awards_of(subscription) == [*FIRST, CYCLE]
        assert fulfillment_of(subscription).next_fulfillment_at == MAR


@pytest.mark.behaviour("REN-15")
def test_end_by_redelivery_when_a_cancellation_failed(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user)
        redeliver(fake)
        clock.shift(timedelta(days=3))
        fake.cancel(subscription)
        with failing_to_save():
            assert fake.deliver(fake.event("customer.subscription.deleted")) == [500]
        assert fulfillment_of(subscription).stops_at == FEB
        redeliver(fake)
        fake.deliver(fake.event("customer.subscription.deleted"))
        assert fulfillment_of(subscription).stops_at == START + timedelta(days=3)


@pytest.mark.behaviour("REN-15")
def test_award_by_redelivery_when_an_upgrade_failed(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user)
        redeliver(fake)
        clock.shift(timedelta(days=3))
        fake.change_plan(subscription, "price_prem")
        with failing_to_save():
            assert fake.deliver(fake.event("customer.subscription.updated")) == [500]
        assert fulfillment_of(subscription).plan_name == "pro"
        clock.shift(timedelta(days=1))
        assert fake.deliver(fake.event("customer.subscription.updated")) == [200]
        assert awards_of(subscription) == [*FIRST, ("subscription_upgrade", 2_000)]


@pytest.mark.behaviour("SUB-11", "REN-15")
@pytest.mark.parametrize("path", ["/v1/subscriptions", "/v1/invoices", "/v1/invoiceitems"])
def test_answer_500_while_stripe_is_out(fake: FakeStripe, user: User, path: str) -> None:
    with stripe_at(fake):
        subscription = subscribe(fake, user)
        with fake.outage(path):
            assert fake.deliver(fake.event("customer.subscription.created")) == [500]
        assert not Fulfillment.objects.exists()
        redeliver(fake)
        fake.deliver(fake.event("customer.subscription.created"))
        assert awards_of(subscription) == FIRST


def test_keep_a_subscription_without_an_owner_as_notice(notices: Notices, user: User) -> None:
    with stripe_at(notices.fake):
        subscription, owner = subscribe_as_nobody(notices.fake, user)
        with capture_events() as events:
            notices.deliver()
            notices.repeat(subscription)
        notice = PaymentNotice.objects.get()
        assert (notice.source_id, notice.reason) == (f"sub:{subscription['id']}", "no_owner")
        assert notice.customer_id == subscription["customer"]
        assert [(event.event, event.reason) for event in events] == [("fulfillment_failed", "no_owner")]
        assert not Fulfillment.objects.exists()
        Customer.objects.update(metadata=owner)
        notices.repeat(subscription)
        notice.refresh_from_db()
        assert notice.resolved_at is not None
        assert notice.fulfillment == fulfillment_of(subscription)
        assert awards_of(subscription) == FIRST


def test_award_by_command_once_the_owner_is_known(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake):
        subscription, _owner = subscribe_as_nobody(fake, user)
        redeliver(fake)
        Customer.objects.update(subscriber=user)
        call_command("sync_credits", verbosity=0)
        assert awards_of(subscription) == FIRST
        assert PaymentNotice.objects.get().resolved_at is not None


def test_keep_a_plan_sold_by_us_that_has_gone_as_notice(notices: Notices, user: User, settings: Any) -> None:
    offered = settings.USAGE_CREDITS
    sold = {"usage_credits_owner": f"app.user:{user.pk}", "plan_name": "pro"}
    with stripe_at(notices.fake):
        subscription = subscribe(notices.fake, user, metadata=sold)
        settings.USAGE_CREDITS = {}
        notices.deliver()
        notice = PaymentNotice.objects.get()
        assert (notice.reason, notice.detail) == ("unknown_plan", "plan: pro")
        assert not Fulfillment.objects.exists()
        settings.USAGE_CREDITS = offered
        notices.repeat(subscription)
        notice.refresh_from_db()
        assert notice.resolved_at is not None
        assert awards_of(subscription) == FIRST


def test_keep_an_award_that_the_ledger_refuses_due(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user)
        redeliver(fake)
        wallet = user.wallet()
        wallet.credit(2**63 - 1 - 600 - 100)
        clock.move_to(FEB)
        wallet.debit(50)
        fake.catch_up()
        redeliver(fake)
        assert "2**63 - 1" in fulfillment_of(subscription).last_error
        assert awards_of(subscription) == FIRST
        wallet.debit(1_000)
        call_command("fulfill_credits", verbosity=0)
        assert awards_of(subscription) == [*FIRST, CYCLE]
        assert fulfillment_of(subscription).last_error == ""


def test_go_on_with_a_plan_that_was_changed_in_settings(notices: Notices, user: User, settings: Any) -> None:
    with stripe_at(notices.fake) as clock:
        subscription = subscribe(notices.fake, user)
        notices.deliver()
        plan = SubscriptionPlan("pro", stripe_price="price_pro", gives=credits(700).every("month"))
        settings.USAGE_CREDITS = {"SUBSCRIPTION_PLANS": [plan]}
        notices.repeat(subscription)
        assert awards_of(subscription) == FIRST
        clock.move_to(FEB)
        notices.fake.catch_up()
        notices.deliver()
        assert awards_of(subscription) == [*FIRST, ("subscription_credits", 700)]

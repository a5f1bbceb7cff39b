from __future__ import annotations

from typing import Any

import pytest
from django.db.models.signals import pre_save
from djstripe.models import Event, WebhookEventTrigger

from tests.app.models import User
from tests.billing.shopping import announce, check_out, pay_directly
from usage_credits.models import Fulfillment, PaymentNotice, Transaction
from usage_credits.testing import FakeStripe, capture_events


@pytest.mark.behaviour("PFL-12")
def test_award_nothing_when_fulfillment_cannot_be_recorded(fake: FakeStripe, user: User) -> None:
    session = fake.pay(check_out(user).id)

    def refuse(**kwargs: Any) -> None:
        raise RuntimeError("no room")

    with capture_events() as events:
        pre_save.connect(refuse, sender=Fulfillment)
        try:
            assert announce(fake, session) == [500, 500, 500]
        finally:
            pre_save.disconnect(refuse, sender=Fulfillment)
    assert events == []
    assert not Transaction.objects.exists()
    assert not Event.objects.exists()
    assert {trigger.exception for trigger in WebhookEventTrigger.objects.all()} == {"no room"}
    assert announce(fake, session) == [200, 200, 200]
    assert user.credits == 1_000


def test_award_after_stripe_was_out(fake: FakeStripe, user: User) -> None:
    session = fake.pay(check_out(user).id)
    with fake.outage("/v1/payment_intents"):
        assert set(announce(fake, session)) == {500}
    assert not Event.objects.exists()
    assert not PaymentNotice.objects.exists()
    assert announce(fake, session) == [200, 200, 200]
    assert user.credits == 1_000


@pytest.mark.behaviour("PFL-16")
def test_ignore_charge_of_subscription_invoice(fake: FakeStripe, user: User) -> None:
    intent = pay_directly({}, description="Subscription update")
    assert announce(fake, intent) == [200, 200]
    assert not Transaction.objects.exists()
    assert not PaymentNotice.objects.exists()


def test_award_nothing_for_test_payment_in_live_mode(fake: FakeStripe, user: User, settings: Any) -> None:
    session = fake.pay(check_out(user).id)
    settings.STRIPE_LIVE_MODE = True
    assert announce(fake, session) == [200, 200, 200]
    assert not Transaction.objects.exists()


def test_refuse_forged_signature_and_write_nothing(fake: FakeStripe, user: User) -> None:
    session = fake.pay(check_out(user).id)
    for event in fake.events_for(session):
        assert fake.deliver(event, secret="whsec_forged") == [400]
    assert not Event.objects.exists()
    assert not Fulfillment.objects.exists()
    assert not Transaction.objects.exists()


def test_award_nothing_for_payment_that_stripe_does_not_know(fake: FakeStripe, user: User) -> None:
    session = fake.pay(check_out(user).id)
    told = fake.events_for(session)
    fake.remove("checkout.session", session)
    fake.remove("payment_intent", session["payment_intent"])
    assert {status for event in told for status in fake.deliver(event)} == {200}
    assert not Transaction.objects.exists()


@pytest.mark.behaviour("PFL-06")
def test_ignore_session_that_is_not_a_payment(fake: FakeStripe, user: User) -> None:
    session = fake.pay(check_out(user).id)
    event = fake.event("checkout.session.completed")
    event["data"]["object"]["mode"] = "subscription"
    assert fake.deliver(event) == [200]
    assert session["payment_status"] == "paid"
    assert not Transaction.objects.exists()

from __future__ import annotations

from typing import Any

import pytest
import stripe
from djstripe import models as djstripe

from tests.testing.subscribing import hear, subscribe
from usage_credits.testing import FakeStripe

REFUND_CHANGED = ["refund.updated", "charge.refund.updated"]


@pytest.fixture
def charge(fake: FakeStripe) -> dict[str, Any]:
    intent = stripe.PaymentIntent.create(amount=1_000, currency="usd", confirm=True)
    hear(fake)
    return fake.get("charge", intent.latest_charge)


def test_let_a_refund_take_its_time(fake: FakeStripe, charge: dict[str, Any]) -> None:
    refund = fake.refund(charge, 400, pending=True)
    assert (refund["status"], charge["amount_refunded"]) == ("pending", 400)
    assert hear(fake) == ["refund.created", "charge.refunded"]
    assert fake.settle_refund(refund)["status"] == "succeeded"
    assert hear(fake) == REFUND_CHANGED
    assert [one.id for one in stripe.Refund.list(charge=charge["id"]).data] == [refund["id"]]
    assert stripe.Refund.list(payment_intent="pi_x").data == []


@pytest.mark.parametrize(("lowers", "refunded"), [(True, 0), (False, 400)])
def test_fail_a_refund(fake: FakeStripe, charge: dict[str, Any], lowers: bool, refunded: int) -> None:
    refund = fake.fail_refund(fake.refund(charge, 400), lowers=lowers)
    assert (refund["status"], charge["amount_refunded"]) == ("failed", refunded)
    assert hear(fake)[2:] == ["refund.failed", *REFUND_CHANGED]


def test_cancel_a_pending_refund(fake: FakeStripe, charge: dict[str, Any]) -> None:
    refund = fake.refund(charge, pending=True)
    assert stripe.Refund.cancel(refund["id"]).status == "canceled"
    assert (charge["amount_refunded"], charge["refunded"]) == (0, False)
    with pytest.raises(stripe.InvalidRequestError, match="is canceled"):
        stripe.Refund.cancel(refund["id"])
    assert hear(fake)[2:] == REFUND_CHANGED


def test_win_a_dispute(fake: FakeStripe, charge: dict[str, Any]) -> None:
    dispute = fake.open_dispute(charge, 300)
    assert (dispute["status"], charge["disputed"]) == ("needs_response", True)
    assert hear(fake) == ["charge.dispute.created", "charge.dispute.funds_withdrawn"]
    with pytest.raises(stripe.InvalidRequestError, match="charged back"):
        stripe.Refund.create(charge=charge["id"])
    stripe.Dispute.modify(dispute["id"], evidence={"uncategorized_text": "It arrived."})
    assert dispute["status"] == "under_review"
    fake.win_dispute(dispute)
    assert hear(fake) == [
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_reinstated",
    ]
    assert djstripe.Dispute.objects.get().stripe_data["status"] == "won"
    assert [moved["amount"] for moved in dispute["balance_transactions"]] == [-300, 300]
    (found,) = stripe.Dispute.list(payment_intent=charge["payment_intent"]).data
    assert stripe.Dispute.retrieve(found.id).amount == 300


@pytest.mark.parametrize("accepted", [True, False])
def test_lose_a_dispute(fake: FakeStripe, charge: dict[str, Any], accepted: bool) -> None:
    dispute = fake.open_dispute(charge)
    if accepted:
        stripe.Dispute.close(dispute["id"])
    else:
        fake.lose_dispute(fake.answer_dispute(dispute))
    assert (dispute["status"], dispute["amount"]) == ("lost", 1_000)
    assert hear(fake)[-1] == "charge.dispute.closed"
    with pytest.raises(Exception, match="already lost"):
        fake.win_dispute(dispute)


def test_close_an_inquiry_or_let_it_become_a_dispute(fake: FakeStripe, charge: dict[str, Any]) -> None:
    inquiry = fake.open_dispute(charge, inquiry=True)
    assert inquiry["status"] == "warning_needs_response"
    assert fake.answer_dispute(inquiry)["status"] == "warning_under_review"
    assert fake.close_dispute(inquiry)["status"] == "warning_closed"
    assert hear(fake) == ["charge.dispute.created", "charge.dispute.updated", "charge.dispute.closed"]
    other = fake.escalate_dispute(fake.open_dispute(charge, inquiry=True))
    assert other["status"] == "needs_response"
    assert hear(fake)[1:] == ["charge.dispute.updated", "charge.dispute.funds_withdrawn"]


def test_refuse_a_dispute_of_more_than_was_paid(fake: FakeStripe, charge: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="cannot be disputed"):
        fake.open_dispute(charge, 1_001)


def test_concern_a_subscription_with_its_refunds_and_disputes(fake: FakeStripe) -> None:
    subscription, other = subscribe(fake), subscribe(fake)
    charge = fake.get("charge", fake.event("charge.succeeded")["data"]["object"])
    before = fake.events_for(subscription)
    fake.open_dispute(charge, inquiry=True)
    fake.refund(charge, 100)
    assert [event["type"] for event in fake.events_for(other)][-4:] == [
        "checkout.session.completed",
        "charge.dispute.created",
        "refund.created",
        "charge.refunded",
    ]
    assert fake.events_for(subscription) == before
    assert len(before) == len(fake.events_for(other)) - 3
    for event in reversed(fake.events_for(other)):
        assert fake.deliver(event, times=2) == [200, 200]


def test_decline_payments(fake: FakeStripe) -> None:
    customer = stripe.Customer.create(name="ada").id
    fake.fail_card(customer)
    with pytest.raises(stripe.CardError, match="declined") as refusal:
        stripe.PaymentIntent.create(customer=customer, amount=100, currency="usd", confirm=True)
    assert refusal.value.code == "card_declined"
    assert hear(fake)[1:] == [
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
    ]

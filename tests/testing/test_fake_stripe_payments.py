from __future__ import annotations

from typing import Any

import pytest
import stripe

from tests.testing.subscribing import hear
from usage_credits.testing import FakeStripe

UNATTENDED: dict[str, Any] = {"amount": 1_000, "currency": "usd", "confirm": True, "off_session": True}


@pytest.fixture
def customer(fake: FakeStripe) -> str:
    made = stripe.Customer.create(email="ada@example.com").id
    fake.add_card(made)
    hear(fake)
    return made


def default_of(fake: FakeStripe, customer: str) -> str:
    method: str = fake.get("customer", customer)["invoice_settings"]["default_payment_method"]
    return method


def charge(fake: FakeStripe, payer: str, **options: Any) -> stripe.PaymentIntent:
    given = {"customer": payer, "payment_method": default_of(fake, payer), **options}
    return stripe.PaymentIntent.create(**{**UNATTENDED, **given})


def test_charge_a_saved_card_while_the_customer_is_not_there(fake: FakeStripe, customer: str) -> None:
    intent = charge(fake, customer)
    assert (intent.status, intent.payment_method) == ("succeeded", default_of(fake, customer))
    assert hear(fake) == ["payment_intent.created", "charge.succeeded", "payment_intent.succeeded"]


@pytest.mark.parametrize(
    ("decline_code", "code"),
    [
        ("insufficient_funds", "card_declined"),
        ("authentication_required", "authentication_required"),
    ],
)
def test_decline_a_saved_card_and_say_why(
    fake: FakeStripe, customer: str, decline_code: str, code: str
) -> None:
    fake.fail_card(customer, decline_code)
    with pytest.raises(stripe.CardError) as refusal:
        charge(fake, customer)
    error: Any = refusal.value.json_body
    assert (error["error"]["code"], error["error"]["decline_code"]) == (code, decline_code)
    (intent,) = fake.all("payment_intent")
    assert error["error"]["payment_intent"]["id"] == intent["id"]
    assert intent["status"] == "requires_payment_method"
    assert intent["last_payment_error"]["decline_code"] == decline_code
    assert hear(fake) == ["payment_intent.created", "charge.failed", "payment_intent.payment_failed"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"payment_method": None},
        {"payment_method": "pm_gone"},
        {"customer": "cus_gone"},
        {"customer": None},
        {"confirm": False},
        {"amount": 0},
        {"colour": "red"},
    ],
    ids=str,
)
def test_refuse_what_stripe_refuses_of_unattended_payments(
    fake: FakeStripe, customer: str, wrong: dict[str, Any]
) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        charge(fake, customer, **wrong)
    assert fake.all("payment_intent") == []


def test_refuse_the_card_of_somebody_else(fake: FakeStripe, customer: str) -> None:
    other = stripe.Customer.create().id
    with pytest.raises(stripe.InvalidRequestError, match="another customer"):
        charge(fake, customer, payment_method=fake.add_card(other)["id"])


@pytest.mark.parametrize(("arrives", "status"), [(True, "succeeded"), (False, "requires_payment_method")])
def test_charge_a_bank_account_whose_money_comes_later(
    fake: FakeStripe, customer: str, arrives: bool, status: str
) -> None:
    fake.add_bank_account(customer)
    intent = charge(fake, customer)
    assert intent.status == "processing"
    settled = (fake.settle_payment if arrives else fake.fail_payment)(intent)
    assert settled["status"] == status
    for settle in (fake.settle_payment, fake.fail_payment):
        with pytest.raises(Exception, match=f"The payment is {status}"):
            settle(intent)


def test_lose_answers_to_what_is_carried_out(fake: FakeStripe, customer: str) -> None:
    with fake.lost_answers("/v1/payment_intents"):
        for _time in range(2):
            with pytest.raises(stripe.APIError, match="did not come"):
                charge(fake, customer, idempotency_key="k")
    assert len(fake.all("payment_intent")) == 1
    again = charge(fake, customer, idempotency_key="k")
    assert [intent["id"] for intent in fake.all("payment_intent")] == [again.id]

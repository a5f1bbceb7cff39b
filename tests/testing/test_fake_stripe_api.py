from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import stripe

from tests.testing.subscribing import MONTH, START, hear, latest_invoice, subscribe
from usage_credits.testing import FakeStripe


def ids(found: Any) -> list[str]:
    return [one.id for one in found.auto_paging_iter()]


@pytest.fixture
def customer(fake: FakeStripe) -> str:
    made = stripe.Customer.create(name="ada").id
    fake.add_card(made)
    return made


def test_find_subscriptions(fake: FakeStripe, customer: str) -> None:
    other = subscribe(fake)["id"]
    canceled = fake.cancel(fake.subscribe(customer, "price_other"))["id"]
    mine = fake.subscribe(customer, "price_large")["id"]
    assert ids(stripe.Subscription.list()) == [mine, other]
    assert ids(stripe.Subscription.list(status="all")) == [mine, canceled, other]
    assert ids(stripe.Subscription.list(status="canceled")) == [canceled]
    assert ids(stripe.Subscription.list(status="ended", customer=customer)) == [canceled]
    assert ids(stripe.Subscription.list(customer=customer)) == [mine]
    assert ids(stripe.Subscription.list(price="price_other")) == [other]
    assert ids(stripe.Subscription.list(limit=1)) == [mine, other]
    assert stripe.Subscription.list(ending_before=other).data[0].id == mine
    unknown: Any = {"colour": "blue"}
    for wrong, message in (({"limit": 101}, "Limits"), (unknown, "unknown parameter: colour")):
        with pytest.raises(stripe.InvalidRequestError, match=message):
            stripe.Subscription.list(**wrong)


def test_find_invoices_and_what_paid_them(fake: FakeStripe, customer: str) -> None:
    subscription = fake.subscribe(customer, "price_other")
    first = subscription["latest_invoice"]
    fake.advance(MONTH)
    second = subscription["latest_invoice"]
    assert ids(stripe.Invoice.list(subscription=subscription["id"])) == [second, first]
    assert ids(stripe.Invoice.list(customer=customer, status="paid")) == [second, first]
    assert ids(stripe.Invoice.list(status="open")) == []
    since = int((START + timedelta(days=1)).timestamp())
    assert ids(stripe.Invoice.list(created={"gte": since})) == [second]
    assert ids(stripe.Invoice.list(created={"lt": since})) == [first]
    (payment,) = stripe.InvoicePayment.list(invoice=second).data
    assert payment.status == "paid"
    assert stripe.Invoice.list_lines(second).data[0].amount == 3_000


def test_expand_what_is_asked_for(fake: FakeStripe, customer: str) -> None:
    subscription = fake.subscribe(customer, "price_other")
    expand = [
        "customer",
        "items.data.price.product",
        "latest_invoice.payments.data.payment.payment_intent.latest_charge",
        "latest_invoice.parent.subscription_details.subscription",
        "latest_invoice.lines.data.pricing.price_details.price",
    ]
    found = stripe.Subscription.retrieve(subscription["id"], expand=expand).to_dict()
    invoice = found["latest_invoice"]
    assert found["customer"]["name"] == "ada"
    assert found["items"]["data"][0]["price"]["product"]["name"] == "price_other"
    payment = invoice["payments"]["data"][0]["payment"]["payment_intent"]
    assert payment["latest_charge"]["amount"] == 3_000
    assert invoice["parent"]["subscription_details"]["subscription"]["id"] == subscription["id"]
    assert invoice["lines"]["data"][0]["pricing"]["price_details"]["price"]["unit_amount"] == 3_000
    (listed,) = stripe.Subscription.list(expand=["data.latest_invoice"]).to_dict()["data"]
    assert listed["latest_invoice"]["id"] == invoice["id"]
    assert "payments" not in listed["latest_invoice"]


def test_create_through_the_api(fake: FakeStripe, customer: str) -> None:
    made = stripe.Subscription.create(
        customer=customer,
        items=[{"price": "price_other", "quantity": 2}, {"price": "price_large"}],
        metadata={"a": "1"},
    )
    assert (made.status, made.metadata.to_dict()) == ("active", {"a": "1"})
    assert latest_invoice(fake, made.to_dict())["amount_paid"] == 15_000
    trial = stripe.Subscription.create(
        customer=customer, items=[{"price": "price_other"}], trial_period_days=7, cancel_at_period_end=True
    )
    assert (trial.status, trial.cancel_at) == ("trialing", trial.trial_end)
    fake.advance(timedelta(days=7))
    hear(fake)
    assert stripe.Subscription.retrieve(trial.id).status == "canceled"


def test_wait_for_the_first_payment(fake: FakeStripe) -> None:
    customer = stripe.Customer.create(name="eve").id
    items: Any = [{"price": "price_other"}]
    with pytest.raises(stripe.InvalidRequestError, match="no attached payment source"):
        stripe.Subscription.create(customer=customer, items=items)
    made = stripe.Subscription.create(customer=customer, items=items, payment_behavior="default_incomplete")
    assert made.status == "incomplete"
    (payment,) = stripe.InvoicePayment.list(invoice=str(made.latest_invoice)).data
    fake.add_card(customer)
    assert stripe.PaymentIntent.confirm(str(payment.payment.payment_intent)).status == "succeeded"
    assert stripe.Subscription.retrieve(made.id).status == "active"
    fake.fail_card(customer)
    with pytest.raises(stripe.CardError):
        stripe.Subscription.create(customer=customer, items=items, payment_behavior="error_if_incomplete")
    assert len(fake.all("subscription")) == 1
    hear(fake)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "blue"}, "takes no colour"),
        ({"collection_method": "send_invoice"}, "charges automatically"),
        ({"payment_behavior": "hope"}, "Invalid payment_behavior"),
        ({"items": [{"price": "price_other"}, {"price": "price_yearly"}]}, "same interval"),
        ({"items": [{"price": "price_once"}]}, "type=one_time"),
        ({"customer": "cus_x"}, "No such customer"),
    ],
)
def test_refuse_subscriptions(fake: FakeStripe, customer: str, changes: dict[str, Any], message: str) -> None:
    fake.add_price("price_once", amount=100, interval=None)
    arguments: dict[str, Any] = {"customer": customer, "items": [{"price": "price_other"}]}
    with pytest.raises(stripe.InvalidRequestError, match=message):
        stripe.Subscription.create(**{**arguments, **changes})
    assert not fake.all("subscription")


def test_handle_invoices_by_hand(fake: FakeStripe, customer: str) -> None:
    subscription = fake.subscribe(customer, "price_other")
    fake.fail_card(customer)
    fake.advance(MONTH)
    owed = subscription["latest_invoice"]
    with pytest.raises(stripe.CardError):
        stripe.Invoice.pay(owed)
    assert stripe.Invoice.mark_uncollectible(owed).status == "uncollectible"
    assert subscription["status"] == "active"
    fake.advance(MONTH)
    assert stripe.Invoice.void_invoice(subscription["latest_invoice"]).status == "void"
    assert subscription["status"] == "active"
    fake.advance(MONTH)
    assert stripe.Invoice.pay(subscription["latest_invoice"], paid_out_of_band=True).status == "paid"
    assert subscription["status"] == "active"
    with pytest.raises(stripe.InvalidRequestError, match="already paid"):
        stripe.Invoice.pay(subscription["latest_invoice"])
    fake.pause(subscription, behavior="keep_as_draft")
    fake.advance(MONTH)
    draft = subscription["latest_invoice"]
    with pytest.raises(stripe.InvalidRequestError, match="changes no number"):
        stripe.Invoice.modify(draft, number="1")
    assert stripe.Invoice.modify(draft, metadata={"a": "1"}).to_dict()["metadata"] == {"a": "1"}
    hear(fake)
    assert stripe.Invoice.finalize_invoice(draft).status == "open"
    fake.advance(MONTH)
    assert stripe.Invoice.delete(subscription["latest_invoice"]).deleted


def test_attach_and_detach_payment_methods(fake: FakeStripe) -> None:
    customer = stripe.Customer.create(name="eve").id
    method = stripe.PaymentMethod.create(type="card").id
    stripe.PaymentMethod.attach(method, customer=customer)
    stripe.Customer.modify(customer, invoice_settings={"default_payment_method": method})
    assert ids(stripe.PaymentMethod.list(customer=customer)) == [method]
    assert stripe.Subscription.create(customer=customer, items=[{"price": "price_other"}]).status == "active"
    stripe.PaymentMethod.detach(method)
    assert fake.get("customer", customer)["invoice_settings"]["default_payment_method"] is None
    hear(fake)


def test_open_the_billing_portal(fake: FakeStripe, customer: str) -> None:
    session = stripe.billing_portal.Session.create(customer=customer, return_url="https://shop.test/")
    assert session.url.endswith(session.id)
    assert session.return_url == "https://shop.test/"
    with pytest.raises(stripe.InvalidRequestError, match="No such customer"):
        stripe.billing_portal.Session.create(customer="cus_x")


def test_list_prices_and_products(fake: FakeStripe) -> None:
    fake.add_price("price_pair", amount=10, product=fake.get("price", "price_other")["product"])
    product = stripe.Product.list().data[-1].id
    assert ids(stripe.Price.list(product=product, active=True)) == ["price_pair", "price_other"]
    assert stripe.Plan.retrieve("price_other").amount == 3_000

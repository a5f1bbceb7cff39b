from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe
import time_machine
from djstripe import models as djstripe

from tests.testing.subscribing import (
    DRAFT,
    MONTH,
    PAID,
    PAID_BY_CARD,
    START,
    hear,
    invoices_of,
    latest_invoice,
    moment,
    open_checkout,
    period_of,
    subscribe,
    synced,
)
from usage_credits.testing import FakeStripe, receive_webhooks, use_fake_stripe

RENEWED = ["invoice.created", "customer.subscription.updated", *PAID_BY_CARD]


@pytest.mark.parametrize("api_version", [None, "2024-06-20"])
def test_walk_through_the_life_of_a_subscription(fake: FakeStripe) -> None:
    session = fake.pay(open_checkout(subscription_data={"metadata": {"a": "1"}}, metadata={"b": "2"}))
    subscription = fake.get("subscription", session["subscription"])
    assert hear(fake) == [
        "customer.subscription.created",
        "invoice.created",
        *PAID_BY_CARD,
        "customer.subscription.updated",
        "checkout.session.completed",
    ]
    assert (session["payment_status"], subscription["metadata"]) == ("paid", {"a": "1"})
    ends = [datetime(2027, month, day, 12, tzinfo=UTC) for month, day in ((2, 28), (3, 31), (4, 30))]
    for end in ends:
        assert period_of(subscription)[1] == end
        fake.advance_to(end)
        assert hear(fake) == RENEWED[:2]
        assert latest_invoice(fake, subscription)["status"] == "draft"
        fake.advance(DRAFT)
        assert hear(fake) == RENEWED[2:]
        assert moment(latest_invoice(fake, subscription)["created"]) == end
    assert djstripe.Invoice.objects.count() == 4
    fake.fail_card(subscription["customer"])
    fake.advance(MONTH)
    failed = ["charge.failed", "payment_intent.payment_failed", "invoice.payment_failed"]
    assert hear(fake) == [
        *RENEWED[:4],
        *failed,
        "customer.subscription.updated",
    ]
    assert synced(subscription)["status"] == "past_due"
    fake.retry(subscription["latest_invoice"])
    assert hear(fake) == failed
    fake.mend_card(subscription["customer"])
    fake.retry(subscription["latest_invoice"])
    assert hear(fake) == [*PAID, "invoice_payment.paid", "customer.subscription.updated"]
    assert synced(subscription)["status"] == "active"
    fake.change_plan(subscription, "price_large")
    assert hear(fake) == ["invoiceitem.created", "invoiceitem.created", "customer.subscription.updated"]
    assert djstripe.SubscriptionItem.objects.get().price.id == "price_large"
    fake.advance(MONTH)
    assert hear(fake) == RENEWED
    fake.cancel(subscription, at_period_end=True)
    assert hear(fake) == ["customer.subscription.updated"]
    assert synced(subscription)["cancel_at_period_end"]
    fake.advance(MONTH)
    assert hear(fake) == ["customer.subscription.deleted"]
    assert synced(subscription)["status"] == "canceled"
    assert synced(subscription)["ended_at"] == synced(subscription)["cancel_at"]
    assert len(fake.events_for(subscription)) == len(fake.events_for(session)) == len(fake.events)


def test_repeat_a_walk_exactly() -> None:
    walks = []
    for _time in range(2):
        fake = FakeStripe(clock=START.timestamp)
        fake.add_price("price_other", amount=3_000)
        fake.handle("POST", "/v1/customers", "name=ada", {})
        fake.subscribe(fake.all("customer")[0], "price_other", quantity=2)
        fake.advance(3 * MONTH)
        walks.append(fake.events)
    assert walks[0] == walks[1]


def test_give_everything_its_own_moment(fake: FakeStripe) -> None:
    subscription = subscribe(fake)
    fake.advance(timedelta(days=90))
    starts = [
        datetime(2027, month, day, 12, tzinfo=UTC) for month, day in ((1, 31), (2, 28), (3, 31), (4, 30))
    ]
    assert [moment(invoice["created"]) for invoice in invoices_of(fake, subscription)] == starts
    paid = [event for event in fake.events if event["type"] == "invoice.paid"]
    assert [moment(event["created"]) for event in paid] == [
        starts[0],
        *(start + DRAFT for start in starts[1:]),
    ]
    periods = [event["data"]["object"]["lines"]["data"][0]["period"] for event in paid]
    assert [moment(period["start"]) for period in periods] == starts
    assert [invoice["billing_reason"] for invoice in invoices_of(fake, subscription)] == [
        "subscription_create",
        *["subscription_cycle"] * 3,
    ]


def test_move_with_a_clock_that_others_move(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [START]
    fake = FakeStripe(clock=lambda: now[0].timestamp())
    fake.add_price("price_other", amount=3_000)
    fake.handle("POST", "/v1/customers", "name=ada", {})
    subscription = fake.subscribe(fake.all("customer")[0], "price_other")
    now[0] += MONTH
    assert len(invoices_of(fake, subscription)) == 1
    fake.catch_up()
    fake.catch_up()
    assert len(invoices_of(fake, subscription)) == 2
    with pytest.raises(ValueError, match="only goes forward"):
        fake.advance_to(START)


@pytest.mark.django_db
def test_move_with_time_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stripe, "api_key", "sk_test_1")
    with use_fake_stripe(FakeStripe()) as fake, time_machine.travel(START, tick=False) as clock:
        receive_webhooks(enabled_events=["*"])
        fake.add_price("price_other", amount=3_000)
        subscription = subscribe(fake)
        clock.shift(MONTH)
        fake.catch_up()
        assert hear(fake) == RENEWED
        assert moment(latest_invoice(fake, subscription)["created"]) == datetime(2027, 2, 28, 12, tzinfo=UTC)


@pytest.mark.parametrize("api_version", [None, "2024-06-20"])
def test_deliver_what_concerns_a_subscription_in_any_order(fake: FakeStripe) -> None:
    session = fake.pay(open_checkout())
    fake.advance(2 * MONTH)
    fake.fail_card(session["customer"])
    fake.change_plan(session["subscription"], "price_large", proration_behavior="always_invoice")
    fake.cancel(session["subscription"])
    events = fake.events_for(session)
    for event in random.Random(1).sample(events, len(events)):
        assert fake.deliver(event, times=2) == [200, 200]
    assert synced(fake.get("subscription", session["subscription"]))["status"] == "canceled"


def test_shape_payloads_as_of_today(fake: FakeStripe) -> None:
    subscription = subscribe(fake)
    event = djstripe.Event.objects.get(type="invoice.paid")
    invoice = event.data["object"]
    (line,) = invoice["lines"]["data"]
    assert invoice["parent"]["subscription_details"]["subscription"] == subscription["id"]
    assert line["pricing"]["price_details"]["price"] == "price_other"
    details = line["parent"]["subscription_item_details"]
    assert (details["subscription_item"], details["proration"]) == (
        subscription["items"]["data"][0]["id"],
        False,
    )
    assert not {"subscription", "charge", "payment_intent", "paid"} & set(invoice)
    assert "current_period_end" not in subscription
    (payment,) = stripe.InvoicePayment.list(
        payment={
            "type": "payment_intent",
            "payment_intent": fake.event("payment_intent.succeeded")["data"]["object"]["id"],
        }
    ).data
    assert payment.invoice == invoice["id"]
    changed = djstripe.Event.objects.get(type="customer.subscription.updated")
    assert changed.data["previous_attributes"] == {"status": "incomplete"}


@pytest.mark.parametrize("api_version", ["2024-06-20"])
def test_shape_payloads_as_before_basil(fake: FakeStripe) -> None:
    subscription = subscribe(fake)
    event = djstripe.Event.objects.get(type="invoice.paid")
    invoice = event.data["object"]
    (line,) = invoice["lines"]["data"]
    item_id = subscription["items"]["data"][0]["id"]
    assert event.api_version == "2024-06-20"
    assert (invoice["subscription"], invoice["paid"]) == (subscription["id"], True)
    assert (line["price"]["id"], line["plan"]["id"]) == ("price_other", "price_other")
    assert (line["subscription_item"], line["proration"], line["type"]) == (item_id, False, "subscription")
    assert not {"parent", "pricing"} & ({*invoice} | {*line})
    charge = djstripe.Event.objects.get(type="charge.succeeded").data["object"]
    assert (charge["invoice"], charge["payment_intent"]) == (invoice["id"], invoice["payment_intent"])
    assert invoice["charge"] == charge["id"]
    # Drawn up when it happened: this invoice was not charged yet.
    assert djstripe.Event.objects.get(type="invoice.created").data["object"]["charge"] is None
    fake.advance(MONTH)
    hear(fake)
    renewed = djstripe.Event.objects.filter(type="customer.subscription.updated").order_by("created").last()
    assert renewed
    start, end = period_of(subscription)
    shown = renewed.data["object"]
    assert (moment(shown["current_period_start"]), moment(shown["current_period_end"])) == (start, end)
    assert moment(renewed.data["previous_attributes"]["current_period_end"]) == start
    assert "current_period_end" not in shown["items"]["data"][0]
    # What is retrieved has the shape of today.
    assert "current_period_end" not in synced(subscription)
    assert fake.deliver(fake.reissue(fake.event("invoice.paid"))) == [200]
    again = djstripe.Event.objects.filter(type="invoice.paid").order_by("djstripe_id").last()
    assert again
    assert again.data["object"]["subscription"] == subscription["id"]


def test_begin_with_a_trial(fake: FakeStripe) -> None:
    session = fake.pay(open_checkout(subscription_data={"trial_period_days": 14}))
    subscription = fake.get("subscription", session["subscription"])
    assert hear(fake) == [
        "customer.subscription.created",
        "invoice.created",
        "invoice.finalized",
        "invoice.paid",
        "invoice.payment_succeeded",
        "checkout.session.completed",
    ]
    end = START + timedelta(days=14)
    assert (session["amount_total"], session["payment_status"]) == (0, "no_payment_required")
    assert (subscription["status"], moment(subscription["trial_end"])) == ("trialing", end)
    assert period_of(subscription) == (START, end)
    invoice = latest_invoice(fake, subscription)
    assert (invoice["amount_paid"], invoice["status"]) == (0, "paid")
    fake.change_plan(subscription, quantity=2)
    assert hear(fake) == ["customer.subscription.updated"]
    fake.advance_to(end + DRAFT)
    assert hear(fake) == ["customer.subscription.trial_will_end", *RENEWED]
    notice = fake.event("customer.subscription.trial_will_end")
    assert moment(notice["created"]) == end - timedelta(days=3)
    assert latest_invoice(fake, subscription)["amount_paid"] == 6_000
    assert period_of(subscription) == (end, datetime(2027, 3, 14, 12, tzinfo=UTC))


@pytest.mark.parametrize(
    ("behavior", "status", "announced"),
    [
        ("cancel", "canceled", ["customer.subscription.deleted"]),
        ("pause", "paused", ["customer.subscription.updated", "customer.subscription.paused"]),
    ],
)
def test_end_trial_without_payment_method(
    fake: FakeStripe, behavior: str, status: str, announced: list[str]
) -> None:
    subscription = subscribe(
        fake,
        payment_method_collection="if_required",
        subscription_data={
            "trial_period_days": 14,
            "trial_settings": {"end_behavior": {"missing_payment_method": behavior}},
        },
    )
    fake.advance(timedelta(days=14))
    assert hear(fake) == ["customer.subscription.trial_will_end", *announced]
    assert subscription["status"] == status


def test_resume_what_was_paused_for_want_of_a_card(fake: FakeStripe) -> None:
    trial = {"end_behavior": {"missing_payment_method": "pause"}}
    subscription = subscribe(
        fake,
        payment_method_collection="if_required",
        subscription_data={"trial_period_days": 14, "trial_settings": trial},
    )
    fake.advance(MONTH)
    assert subscription["status"] == "paused"
    fake.add_card(subscription["customer"])
    hear(fake)
    assert stripe.Subscription.resume(subscription["id"]).status == "active"
    assert hear(fake)[-2:] == ["customer.subscription.updated", "customer.subscription.resumed"]
    assert period_of(subscription)[0] == START + MONTH


def test_fall_behind_when_the_card_fails_at_the_end_of_the_trial(fake: FakeStripe) -> None:
    subscription = subscribe(fake, subscription_data={"trial_period_days": 14})
    fake.fail_card(subscription["customer"])
    fake.advance(timedelta(days=14) + DRAFT)
    hear(fake)
    assert synced(subscription)["status"] == "past_due"


def test_end_trial_early(fake: FakeStripe) -> None:
    subscription = subscribe(fake, subscription_data={"trial_period_days": 14})
    fake.advance(timedelta(days=2))
    fake.end_trial(subscription)
    assert hear(fake) == [
        "customer.subscription.trial_will_end",
        "customer.subscription.updated",
        "invoice.created",
        *PAID_BY_CARD,
    ]
    assert period_of(subscription)[0] == START + timedelta(days=2)
    assert latest_invoice(fake, subscription)["amount_paid"] == 3_000


def test_extend_trial(fake: FakeStripe) -> None:
    subscription = subscribe(fake, subscription_data={"trial_period_days": 2})
    later = START + timedelta(days=20)
    stripe.Subscription.modify(subscription["id"], trial_end=int(later.timestamp()))
    fake.advance(timedelta(days=19))
    assert (subscription["status"], period_of(subscription)[1]) == ("trialing", later)
    notices = [event for event in fake.events if event["type"] == "customer.subscription.trial_will_end"]
    assert [moment(event["created"]) for event in notices] == [START, later - timedelta(days=3)]


def test_stay_incomplete_until_paid_or_expired(fake: FakeStripe) -> None:
    customer = stripe.Customer.create(name="ada").id
    fake.add_card(customer)
    fake.fail_card(customer)
    paid, expired = (fake.subscribe(customer, "price_other") for _time in range(2))
    assert (paid["status"], expired["status"]) == ("incomplete", "incomplete")
    fake.mend_card(customer)
    assert stripe.Invoice.pay(paid["latest_invoice"]).status == "paid"
    fake.advance(timedelta(days=1))
    assert (paid["status"], expired["status"]) == ("active", "incomplete_expired")
    assert latest_invoice(fake, expired)["status"] == "void"
    hear(fake)
    assert synced(expired)["status"] == "incomplete_expired"


@pytest.mark.parametrize(("behavior", "status"), [("canceled", "canceled"), ("unpaid", "unpaid")])
def test_give_up_on_payments(fake: FakeStripe, behavior: str, status: str) -> None:
    subscription = subscribe(fake)
    fake.fail_card(subscription["customer"])
    fake.advance(MONTH)
    fake.end_dunning(subscription, behavior)
    hear(fake)
    assert synced(subscription)["status"] == status
    fake.advance(MONTH)
    assert latest_invoice(fake, subscription)["status"] == ("draft" if status == "unpaid" else "open")


def test_pay_by_a_method_whose_money_comes_later(fake: FakeStripe) -> None:
    session = fake.pay(open_checkout(), delayed=True)
    subscription = fake.get("subscription", session["subscription"])
    assert (session["payment_status"], subscription["status"]) == ("unpaid", "active")
    fake.settle(session)
    assert latest_invoice(fake, subscription)["status"] == "paid"
    bounced = fake.pay(open_checkout(), delayed=True)
    fake.fail(bounced)
    hear(fake)
    assert synced(fake.get("subscription", bounced["subscription"]))["status"] == "past_due"


def test_refuse_checkout_by_a_card_that_fails(fake: FakeStripe) -> None:
    customer = stripe.Customer.create(name="ada").id
    fake.fail_card(customer)
    session = open_checkout(customer=customer)
    with pytest.raises(Exception, match="card was declined"):
        fake.pay(session)
    assert (fake.all("subscription"), fake.get("checkout.session", session)["status"]) == ([], "open")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"payment_intent_data": {"metadata": {"a": "1"}}}, "can not pass `payment_intent_data`"),
        ({"customer_creation": "always"}, "can not pass `customer_creation`"),
        ({"mode": "payment"}, "take `subscription` mode"),
        ({"line_items": [{"price": "price_x", "quantity": 1}]}, "No such price: 'price_x'"),
        ({"line_items": [{"price": "price_once", "quantity": 1}]}, "recurring prices only"),
        ({"subscription_data": {"colour": "blue"}}, "takes no"),
        ({"subscription_data": {"trial_period_days": 1, "trial_end": 2_000_000_000}}, "only specify one"),
        ({"subscription_data": {"metadata": {"x": "1" * 501}}}, "up to 40 characters"),
    ],
)
def test_refuse_sessions_that_stripe_refuses(fake: FakeStripe, changes: dict[str, Any], message: str) -> None:
    fake.add_price("price_once", amount=100, interval=None)
    arguments: dict[str, Any] = {
        "mode": "subscription",
        "line_items": [{"price": "price_other", "quantity": 1}],
        "success_url": "https://shop.test/",
    }
    with pytest.raises(stripe.InvalidRequestError, match=message):
        stripe.checkout.Session.create(**{**arguments, **changes})


@pytest.mark.parametrize(
    ("duration", "months", "paid"),
    [
        ("once", None, [1_500, 3_000, 3_000]),
        ("forever", None, [1_500] * 3),
        ("repeating", 2, [1_500, 1_500, 3_000]),
    ],
)
def test_count_a_coupon_as_long_as_it_says(
    fake: FakeStripe, duration: str, months: int | None, paid: list[int]
) -> None:
    coupon = fake.add_coupon(50, duration=duration, months=months)
    subscription = subscribe(fake, discounts=[{"coupon": coupon["id"]}])
    fake.advance(2 * MONTH)
    hear(fake)
    assert [invoice["amount_paid"] for invoice in invoices_of(fake, subscription)] == paid


def test_sell_for_nothing(fake: FakeStripe) -> None:
    coupon = fake.add_coupon(100)
    subscription = subscribe(fake, discounts=[{"coupon": coupon["id"]}])
    assert (subscription["status"], latest_invoice(fake, subscription)["amount_paid"]) == ("active", 0)
    assert not fake.all("charge")

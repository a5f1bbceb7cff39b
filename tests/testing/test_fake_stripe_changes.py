from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe
from djstripe import models as djstripe

from tests.testing.subscribing import (
    DRAFT,
    MONTH,
    PAID_BY_CARD,
    START,
    hear,
    invoices_of,
    latest_invoice,
    moment,
    period_of,
    subscribe,
    synced,
)
from usage_credits.testing import FakeStripe

HALF = timedelta(days=14)
PRORATED = ["invoiceitem.created", "invoiceitem.created", "customer.subscription.updated"]
UPDATED = "customer.subscription.updated"


def shown_lines(invoice: dict[str, Any]) -> list[tuple[int, str, bool]]:
    """Return amount, price and whether it is a proration, of each line."""
    return [
        (
            line["amount"],
            line["pricing"]["price_details"]["price"],
            line["parent"]["subscription_item_details"]["proration"],
        )
        for line in invoice["lines"]["data"]
    ]


def test_let_prorations_wait_for_the_next_invoice(fake: FakeStripe) -> None:
    subscription = subscribe(fake)
    fake.advance(HALF)
    fake.change_plan(subscription, "price_large")
    assert hear(fake) == PRORATED
    pending = stripe.InvoiceItem.list(customer=subscription["customer"], pending=True).data
    assert [item.amount for item in reversed(pending)] == [-1_500, 4_500]
    assert {moment(item.period.start) for item in pending} == {START + HALF}
    change = djstripe.Event.objects.filter(type=UPDATED).order_by("djstripe_id").last()
    assert change
    before = change.data["previous_attributes"]
    assert set(before) == {"items", "plan"}
    assert before["items"]["data"][0]["price"]["id"] == before["plan"]["id"] == "price_other"
    fake.advance(HALF + DRAFT)
    assert hear(fake) == ["invoice.created", UPDATED, *PAID_BY_CARD]
    assert shown_lines(latest_invoice(fake, subscription)) == [
        (-1_500, "price_other", True),
        (4_500, "price_large", True),
        (9_000, "price_large", False),
    ]
    assert not stripe.InvoiceItem.list(pending=True).data


@pytest.mark.parametrize("api_version", ["2024-06-20"])
def test_shape_prorations_as_before_basil(fake: FakeStripe) -> None:
    subscription = subscribe(fake)
    fake.advance(HALF)
    fake.change_plan(subscription, "price_large", proration_behavior="always_invoice")
    hear(fake)
    item = djstripe.Event.objects.filter(type="invoiceitem.created").order_by("djstripe_id").first()
    invoice = djstripe.Event.objects.filter(type="invoice.paid").order_by("djstripe_id").last()
    assert item
    assert invoice
    lines = invoice.data["object"]["lines"]["data"]
    assert item.data["object"]["price"]["id"] == lines[0]["price"]["id"] == "price_other"
    assert (item.data["object"]["subscription"], item.data["object"]["proration"]) == (
        subscription["id"],
        True,
    )
    assert [(line["type"], line["proration"]) for line in lines] == [("invoiceitem", True)] * 2
    assert lines[0]["invoice_item"] == item.data["object"]["id"]


def test_invoice_prorations_at_once(fake: FakeStripe) -> None:
    subscription = subscribe(fake)
    fake.advance(HALF)
    fake.change_plan(subscription, "price_large", proration_behavior="always_invoice")
    assert hear(fake) == [*PRORATED, "invoice.created", *PAID_BY_CARD]
    invoice = latest_invoice(fake, subscription)
    assert (invoice["billing_reason"], invoice["amount_paid"]) == ("subscription_update", 3_000)
    assert shown_lines(invoice) == [(-1_500, "price_other", True), (4_500, "price_large", True)]
    assert period_of(subscription)[0] == START


def test_keep_what_a_downgrade_gives_back_for_later_invoices(fake: FakeStripe) -> None:
    subscription = subscribe(fake, "price_large")
    fake.advance(HALF)
    fake.change_plan(subscription, "price_other", proration_behavior="always_invoice")
    customer = fake.get("customer", subscription["customer"])
    assert (latest_invoice(fake, subscription)["total"], customer["balance"]) == (-3_000, -3_000)
    fake.advance(HALF + DRAFT)
    hear(fake)
    invoice = latest_invoice(fake, subscription)
    assert (invoice["total"], invoice["starting_balance"], invoice["amount_paid"]) == (3_000, -3_000, 0)
    assert customer["balance"] == 0


def test_change_without_prorations(fake: FakeStripe) -> None:
    subscription = subscribe(fake)
    fake.advance(HALF)
    fake.change_plan(subscription, "price_large", quantity=2, proration_behavior="none")
    assert hear(fake) == [UPDATED]
    fake.advance(HALF)
    assert shown_lines(latest_invoice(fake, subscription)) == [(18_000, "price_large", False)]


def test_restart_the_period_with_another_interval(fake: FakeStripe) -> None:
    subscription = subscribe(fake)
    fake.advance(HALF)
    fake.change_plan(subscription, "price_yearly")
    assert hear(fake) == ["invoiceitem.created", UPDATED, "invoice.created", *PAID_BY_CARD]
    invoice = latest_invoice(fake, subscription)
    assert invoice["billing_reason"] == "subscription_update"
    assert shown_lines(invoice) == [(-1_500, "price_other", True), (30_000, "price_yearly", False)]
    assert period_of(subscription) == (START + HALF, datetime(2028, 2, 14, 12, tzinfo=UTC))


def test_restart_the_period_when_it_begins_to_cost(fake: FakeStripe) -> None:
    fake.add_price("price_free", amount=0)
    subscription = subscribe(fake, "price_free")
    fake.advance(HALF)
    fake.change_plan(subscription, "price_other")
    hear(fake)
    assert period_of(subscription)[0] == START + HALF
    assert latest_invoice(fake, subscription)["amount_paid"] == 3_000


def test_fall_behind_when_a_change_cannot_be_paid(fake: FakeStripe) -> None:
    subscription = subscribe(fake)
    fake.fail_card(subscription["customer"])
    fake.advance(HALF)
    fake.change_plan(subscription, "price_large", proration_behavior="always_invoice")
    hear(fake)
    assert synced(subscription)["status"] == "past_due"


def test_take_a_cancellation_back(fake: FakeStripe) -> None:
    subscription = subscribe(fake)
    fake.cancel(subscription, at_period_end=True)
    end = period_of(subscription)[1]
    assert (moment(subscription["cancel_at"]), subscription["canceled_at"]) == (end, START.timestamp())
    fake.uncancel(subscription)
    assert (subscription["cancel_at"], subscription["canceled_at"]) == (None, None)
    fake.advance(MONTH)
    hear(fake)
    assert (synced(subscription)["status"], len(invoices_of(fake, subscription))) == ("active", 2)


def test_cancel_at_a_moment(fake: FakeStripe) -> None:
    subscription = subscribe(fake)
    moment_of_end = START + timedelta(days=10)
    stripe.Subscription.modify(subscription["id"], cancel_at=int(moment_of_end.timestamp()))
    fake.advance(MONTH)
    hear(fake)
    assert moment(synced(subscription)["ended_at"]) == moment_of_end
    with pytest.raises(stripe.InvalidRequestError, match="canceled subscription"):
        stripe.Subscription.modify(subscription["id"], metadata={"a": "1"})
    with pytest.raises(stripe.InvalidRequestError, match="No such subscription"):
        stripe.Subscription.cancel(subscription["id"])


def test_cancel_at_once(fake: FakeStripe) -> None:
    subscription = subscribe(fake)
    fake.advance(HALF)
    canceled = stripe.Subscription.cancel(subscription["id"], prorate=True, invoice_now=True)
    assert canceled.status == "canceled"
    hear(fake)
    assert moment(subscription["ended_at"]) == START + HALF
    assert fake.get("customer", subscription["customer"])["balance"] == -1_500
    other = subscribe(fake)
    fake.cancel(other)
    assert hear(fake) == ["customer.subscription.deleted"]


def test_end_subscriptions_of_a_deleted_customer(fake: FakeStripe) -> None:
    subscription = subscribe(fake)
    stripe.Customer.delete(subscription["customer"])
    assert hear(fake) == ["customer.subscription.deleted", "customer.deleted"]
    fake.advance(MONTH)
    assert hear(fake) == []


@pytest.mark.parametrize(
    ("behavior", "status", "announced"),
    [
        ("void", "void", ["payment_intent.created", "invoice.finalized", "invoice.voided"]),
        ("keep_as_draft", "draft", []),
        (
            "mark_uncollectible",
            "uncollectible",
            ["payment_intent.created", "invoice.finalized", "invoice.marked_uncollectible"],
        ),
    ],
)
def test_pause_collection(fake: FakeStripe, behavior: str, status: str, announced: list[str]) -> None:
    subscription = subscribe(fake)
    fake.pause(subscription, behavior=behavior, resumes_at=START + timedelta(days=40))
    assert hear(fake) == [UPDATED]
    fake.advance(timedelta(days=30))
    assert hear(fake) == ["invoice.created", UPDATED, *announced]
    assert (latest_invoice(fake, subscription)["status"], subscription["status"]) == (status, "active")
    fake.advance(timedelta(days=30))
    assert hear(fake) == [UPDATED, "invoice.created", UPDATED, *PAID_BY_CARD]
    assert subscription["pause_collection"] is None


def test_collect_a_draft_that_was_kept(fake: FakeStripe) -> None:
    subscription = subscribe(fake)
    fake.pause(subscription, behavior="keep_as_draft")
    fake.advance(MONTH)
    fake.resume(subscription)
    draft = subscription["latest_invoice"]
    stripe.Invoice.modify(draft, auto_advance=True)
    fake.advance(timedelta(hours=1))
    hear(fake)
    assert fake.get("invoice", draft)["status"] == "paid"


def test_change_through_the_api(fake: FakeStripe) -> None:
    subscription = subscribe(fake)
    (item,) = stripe.SubscriptionItem.list(subscription=subscription["id"]).data
    changed = stripe.Subscription.modify(
        subscription["id"],
        items=[{"id": item.id, "price": "price_large", "quantity": 3}],
        metadata={"a": "1"},
        proration_behavior="none",
        pause_collection={"behavior": "void"},
    )
    assert (changed["items"].data[0].price.id, changed["items"].data[0].quantity) == ("price_large", 3)
    assert changed.to_dict()["pause_collection"] == {"behavior": "void", "resumes_at": None}
    cleared = stripe.Subscription.modify(subscription["id"], pause_collection="", metadata={"a": ""})
    assert (cleared.pause_collection, cleared.metadata.to_dict()) == (None, {})
    hear(fake)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": "blue"}, "takes no colour"),
        ({"proration_behavior": "maybe"}, "Invalid proration_behavior"),
        ({"pause_collection": {"behavior": "nap"}}, "Must be one of void"),
        ({"items": [{"price": "price_large"}]}, "adds none"),
        ({"items": [{"id": "si_x", "price": "price_large"}]}, "No such subscription item"),
        ({"cancel_at": 1}, "must be an integer in the future"),
        ({"trial_end": 1}, "must be an integer in the future"),
        ({"payment_behavior": "pending_if_incomplete"}, "changes first"),
    ],
)
def test_refuse_changes(fake: FakeStripe, changes: dict[str, Any], message: str) -> None:
    subscription = subscribe(fake)
    before = deepcopy(subscription)
    with pytest.raises(stripe.InvalidRequestError, match=message):
        stripe.Subscription.modify(subscription["id"], **changes)
    assert (subscription, hear(fake)) == (before, [])

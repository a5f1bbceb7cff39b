"""What the tests of the fake's subscriptions do: sell one, hear of what happened, read what dj-stripe made of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import stripe
from djstripe import models as djstripe

from usage_credits.testing import FakeStripe

START = datetime(2027, 1, 31, 12, tzinfo=UTC)
MONTH = timedelta(days=31)
DRAFT = timedelta(hours=1)
"""How long the invoice of a renewal waits for its payment."""
PAID = ["charge.succeeded", "payment_intent.succeeded", "invoice.paid", "invoice.payment_succeeded"]
PAID_BY_CARD = ["payment_intent.created", "invoice.finalized", *PAID, "invoice_payment.paid"]


def open_checkout(price: str = "price_other", **options: Any) -> stripe.checkout.Session:
    return stripe.checkout.Session.create(
        mode="subscription",
        line_items=[{"price": price, "quantity": 1}],
        success_url="https://shop.test/",
        **options,
    )


def subscribe(fake: FakeStripe, price: str = "price_other", **options: Any) -> dict[str, Any]:
    """Check out, pay by card and deliver all of it; return the subscription."""
    session = fake.pay(open_checkout(price, **options))
    hear(fake)
    return fake.get("subscription", session["subscription"])


def hear(fake: FakeStripe) -> list[str]:
    """Deliver what was not delivered yet, all of it accepted; return the types."""
    heard = djstripe.Event.objects.count()
    statuses = fake.deliver_pending()
    types = [event["type"] for event in fake.events[heard:]]
    assert statuses == [200] * len(types)
    return types


def invoices_of(fake: FakeStripe, subscription: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        invoice
        for invoice in fake.all("invoice")
        if invoice["parent"]["subscription_details"]["subscription"] == subscription["id"]
    ]


def latest_invoice(fake: FakeStripe, subscription: dict[str, Any]) -> dict[str, Any]:
    return fake.get("invoice", subscription["latest_invoice"])


def moment(value: int) -> datetime:
    return datetime.fromtimestamp(value, UTC)


def period_of(subscription: dict[str, Any]) -> tuple[datetime, datetime]:
    item = subscription["items"]["data"][0]
    return moment(item["current_period_start"]), moment(item["current_period_end"])


def synced(subscription: dict[str, Any]) -> dict[str, Any]:
    """Return what dj-stripe has of the subscription."""
    data: dict[str, Any] = djstripe.Subscription.objects.get(id=subscription["id"]).stripe_data
    return data

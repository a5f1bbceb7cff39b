"""What the tests of subscriptions do: subscribe at the fake Stripe, let time pass, let Stripe tell of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import time_machine
from django.db import models

from usage_credits.billing.stripe_customers import ensure_customer
from usage_credits.models import Fulfillment, Transaction
from usage_credits.testing import FakeStripe

START = datetime(2026, 1, 1, tzinfo=UTC)
GRACE = timedelta(minutes=5)

PRICES = {
    "price_pro": 2_900,
    "price_prem": 9_900,
    "price_roll": 4_900,
    "price_ultra": 19_900,
    "price_other": 500,
}


@contextmanager
def stripe_at(fake: FakeStripe, moment: datetime = START) -> Iterator[time_machine.Coordinates]:
    """Stop the clock at `moment`, for the project and the fake alike, and let the fake know the prices."""
    with time_machine.travel(moment, tick=False) as clock:
        for price_id, amount in PRICES.items():
            fake.add_price(price_id, amount=amount)
        yield clock


def subscribe(
    fake: FakeStripe, owner: models.Model, price: str = "price_pro", **params: Any
) -> dict[str, Any]:
    """Start a subscription of the owner's customer, paid by card, and return it; nothing is delivered yet."""
    customer = ensure_customer(owner)
    fake.add_card(customer)
    return fake.subscribe(customer, price, **params)


def fulfillment_of(subscription: dict[str, Any]) -> Fulfillment:
    return Fulfillment.objects.get(source="stripe", source_id=f"sub:{subscription['id']}")


def awards_of(subscription: dict[str, Any]) -> list[tuple[str, int]]:
    """Return (category, amount) of every row that the subscription gave, in order."""
    rows = Transaction.objects.filter(fulfillment=fulfillment_of(subscription)).order_by("pk")
    return list(rows.values_list("category", "amount"))

"""What the tests of subscriptions do: subscribe at the fake Stripe, let time pass, let Stripe tell of it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import models

from usage_credits.billing.stripe_customers import ensure_customer
from usage_credits.models import Fulfillment, Transaction
from usage_credits.testing import FakeStripe

START = datetime(2026, 1, 1, tzinfo=UTC)
GRACE = timedelta(minutes=5)
DRAFT = timedelta(hours=1)
"""How long the invoice of a renewal waits for its payment."""

PRICES = {
    "price_pro": 2_900,
    "price_prem": 9_900,
    "price_roll": 4_900,
    "price_ultra": 19_900,
    "price_other": 500,
}


in_every_shape = pytest.mark.parametrize(
    "notices", ["today", "older", "state alone", "older state alone"], indirect=True
)
"""Let a test be told in every shape; the fixture's own are the two that differ most."""


@contextmanager
def stripe_at(fake: FakeStripe, moment: datetime = START) -> Iterator[time_machine.Traveller]:
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


class Notices:
    """How Stripe tells of subscriptions: in today's shape or an older one, with its invoices or without."""

    def __init__(self, fake: FakeStripe, shape: str) -> None:
        self.fake = fake
        self.is_older = "older" in shape
        self.is_state_alone = "state" in shape
        self._seen = 0
        if self.is_older:
            for endpoint in fake.all("webhook_endpoint"):
                endpoint["api_version"] = "2024-06-20"

    def deliver(self) -> None:
        """Deliver what happened since the last time."""
        happened, self._seen = self.fake.announced[self._seen :], len(self.fake.announced)
        if self.is_state_alone:
            happened = [one for one in happened if one["type"].startswith("customer.subscription.")]
        with self._showing():
            for event in happened:
                assert self.fake.deliver(event) == [200]

    def repeat(self, subscription: dict[str, Any]) -> None:
        """Announce the subscription's latest event again, by another id: we look at how things are now."""
        self.fake.reissue(latest_event(self.fake, subscription))
        self.deliver()

    @contextmanager
    def _showing(self) -> Iterator[None]:
        with ExitStack() as blocks:
            if self.is_state_alone:
                blocks.enter_context(self.fake.outage("/v1/invoice", 404))
            kept = []
            for subscription in self.fake.all("subscription"):
                kept.append((subscription, copy.deepcopy(subscription)))
                if self.is_state_alone:
                    subscription["latest_invoice"] = None
                if self.is_older:
                    for item in subscription["items"]["data"]:
                        for name in ("current_period_start", "current_period_end"):
                            subscription[name] = item.pop(name)
            yield
            for subscription, before in kept:
                subscription.clear()
                subscription.update(before)


def latest_event(fake: FakeStripe, subscription: dict[str, Any]) -> dict[str, Any]:
    """Return the latest event about the subscription itself."""
    events = [
        event
        for event in fake.announced
        if event["type"].startswith("customer.subscription.")
        and event["data"]["object"]["id"] == subscription["id"]
    ]
    return events[-1]


def set_period(subscription: dict[str, Any], start: datetime, end: datetime) -> None:
    """Let the current period of the fake's own object run from `start` to `end`."""
    for item in subscription["items"]["data"]:
        item.update(current_period_start=int(start.timestamp()), current_period_end=int(end.timestamp()))

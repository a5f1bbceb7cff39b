"""A subscription's life at a fake Stripe: what happens to it, and how its notices reach us."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import time_machine
from django.db import transaction
from djstripe.models import Event

from tests.app.models import User
from usage_credits.billing.fulfillment import fulfill_due
from usage_credits.billing.stripe_customers import ensure_customer
from usage_credits.billing.stripe_events import RECEIVERS
from usage_credits.ledger.verification import verify
from usage_credits.models import Fulfillment, Lot, Transaction
from usage_credits.testing import FakeStripe, receive_webhooks, use_fake_stripe
from usage_credits.testing.fake_stripe.errors import Refusal

START = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

PRICES = {
    "price_pro": (2_900, "month"),
    "price_prem": (9_900, "month"),
    "price_prem_year": (99_000, "year"),
    "price_roll": (4_900, "month"),
    "price_ultra": (19_900, "month"),
    "price_other": (500, "month"),
}

Deliver = Callable[[FakeStripe, dict[str, Any]], None]
Delays = Callable[[int], list[float]]
"""Gives the hours after which an event, named by its number, is delivered: once for each."""


@dataclass(frozen=True)
class Act:
    """Something that happens `after` so many hours; what cannot be done at that point is left out."""

    after: int
    name: str
    argument: str = ""


@dataclass(frozen=True)
class Plot:
    price: str
    trial_days: int
    acts: tuple[Act, ...]


@dataclass(frozen=True)
class Award:
    """One row that the subscription gave; `plan` is the plan in force."""

    category: str
    plan: str
    amount: int
    grid_date: datetime | None
    key: str | None


@dataclass(frozen=True)
class Ending:
    """What a life leaves: what can be spent, the open lots, and every award."""

    credits: int
    lots: list[tuple[datetime | None, int]]
    awards: list[Award] = field(compare=False)


def live(plot: Plot, delays: Delays, deliver: Deliver) -> Ending:
    """Live the plot to its end in a transaction that is rolled back, with notices as late as `delays` says."""
    with (
        transaction.atomic(),
        time_machine.travel(START, tick=False) as clock,
        use_fake_stripe(FakeStripe()) as fake,
    ):
        user = User.objects.create(username="ada", email="ada@example.com")
        _Stage(plot, delays, deliver, fake, user, clock).play()
        assert list(verify()) == []
        ending = _ending(user)
        transaction.set_rollback(True)
    return ending


def receive_directly(fake: FakeStripe, event: dict[str, Any]) -> None:
    """Hand an event to our receiver as dj-stripe would, without dj-stripe's own bookkeeping."""
    created = datetime.fromtimestamp(event["created"], UTC)
    received = Event(id=event["id"], type=event["type"], livemode=False, data=event["data"], created=created)
    RECEIVERS[event["type"]](sender=Event, event=received)


def receive_over_http(fake: FakeStripe, event: dict[str, Any]) -> None:
    assert fake.deliver(event) == [200]


class _Stage:
    def __init__(
        self, plot: Plot, delays: Delays, deliver: Deliver, fake: FakeStripe, user: User, clock: Any
    ) -> None:
        self.plot, self.delays, self.deliver = plot, delays, deliver
        self.fake, self.user, self.clock = fake, user, clock
        self.now = START
        self.noticed = 0
        self.queue: list[tuple[datetime, int, dict[str, Any]]] = []
        self.queued = 0

    def play(self) -> None:
        for price_id, (amount, interval) in PRICES.items():
            self.fake.add_price(price_id, amount=amount, interval=interval)
        receive_webhooks()
        self.customer = ensure_customer(self.user)
        trial = {"trial_period_days": self.plot.trial_days} if self.plot.trial_days else {}
        metadata = {"usage_credits_owner": f"app.user:{self.user.pk}"}
        self.subscription = self.fake.subscribe(self.customer, self.plot.price, metadata=metadata, **trial)
        self._settle_down()
        for act in self.plot.acts:
            self._wait_until(self.now + act.after * HOUR)
            with suppress(Refusal):
                getattr(self, f"_{act.name}")(act.argument)
            self._settle_down()
        self._wait_until(self.now + 5 * 24 * HOUR)
        while self.queue:
            self._deliver_next()
        fulfill_all()

    def _wait_until(self, moment: datetime) -> None:
        """Let time pass, stopping wherever something is due: at Stripe, in the post, in our schedule."""
        while self.now < moment:
            self.now = min(moment, *self._stops())
            self.clock.move_to(self.now)
            self._settle_down()

    def _stops(self) -> Iterator[datetime]:
        yield self.now + 7 * 24 * HOUR
        if self.queue:
            yield max(self.queue[0][0], self.now)
        ends = [item["current_period_end"] for item in self.subscription["items"]["data"]]
        for seconds in [*ends, *[end + 3_600 for end in ends]]:
            moment = datetime.fromtimestamp(seconds, UTC)
            if moment > self.now:
                yield moment
        for fulfillment in Fulfillment.objects.filter(next_fulfillment_at__gt=self.now):
            yield fulfillment.next_fulfillment_at or self.now

    def _settle_down(self) -> None:
        self.fake.catch_up()
        self._post_new_events()
        while self.queue and self.queue[0][0] <= self.now:
            self._deliver_next()
        fulfill_all()

    def _post_new_events(self) -> None:
        events = self.fake.events
        for number in range(self.noticed, len(events)):
            event = events[number]
            if event["type"] not in RECEIVERS:
                continue
            created = datetime.fromtimestamp(event["created"], UTC)
            for delay in self.delays(number):
                self.queued += 1
                heapq.heappush(self.queue, (created + delay * HOUR, self.queued, event))
        self.noticed = len(events)

    def _deliver_next(self) -> None:
        _moment, _number, event = heapq.heappop(self.queue)
        self.deliver(self.fake, event)

    def _change(self, price: str) -> None:
        if self.subscription["status"] not in ("canceled", "incomplete_expired"):
            self.fake.change_plan(self.subscription, price)

    def _cancel(self, _argument: str) -> None:
        self.fake.cancel(self.subscription)

    def _cancel_later(self, _argument: str) -> None:
        self.fake.cancel(self.subscription, at_period_end=True)

    def _uncancel(self, _argument: str) -> None:
        self.fake.uncancel(self.subscription)

    def _pause(self, _argument: str) -> None:
        self.fake.pause(self.subscription)

    def _resume(self, _argument: str) -> None:
        self.fake.resume(self.subscription)

    def _fail_card(self, _argument: str) -> None:
        self.fake.fail_card(self.customer)

    def _mend_card(self, _argument: str) -> None:
        self.fake.mend_card(self.customer)
        for invoice in self.fake.all("invoice"):
            if invoice["status"] == "open":
                self.fake.retry(invoice)

    def _end_trial(self, _argument: str) -> None:
        if self.subscription["status"] == "trialing":
            self.fake.end_trial(self.subscription)


def fulfill_all() -> None:
    for _batch in fulfill_due():
        pass


def _ending(user: User) -> Ending:
    now = datetime.now(UTC)
    lots = Lot.objects.filter(is_open=True).exclude(expires_at__lte=now)
    rows = Transaction.objects.filter(fulfillment__isnull=False).order_by("pk")
    awards = [
        Award(row.category, row.metadata.get("plan_name", ""), row.amount, row.grid_date, row.idempotency_key)
        for row in rows
    ]
    return Ending(
        credits=user.credits,
        lots=sorted(lots.values_list("expires_at", "remaining"), key=str),
        awards=awards,
    )

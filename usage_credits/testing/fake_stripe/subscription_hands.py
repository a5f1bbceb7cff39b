"""What customers, sellers and time do to subscriptions at the fake."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from usage_credits.testing.fake_stripe import changes, invoices, objects, renewals, standing, subscriptions
from usage_credits.testing.fake_stripe.clock import Clock
from usage_credits.testing.fake_stripe.errors import Refusal
from usage_credits.testing.fake_stripe.store import Payload, Store, id_of


class SubscriptionHands:
    """The part of a fake that deals with subscriptions and their time."""

    _store: Store
    _lock: threading.RLock
    _clock: Clock

    def add_price(
        self,
        price_id: str,
        *,
        amount: int,
        currency: str = "usd",
        interval: str | None = "month",
        interval_count: int = 1,
        product: str | None = None,
    ) -> Payload:
        """Create a price with an id of your choice and return it.

        `amount` is in minor units; `interval` is "day", "week", "month", "year", or None for a one-time price;
        `product` is the id of one that exists, a new one when left out.
        """
        with self._lock:
            sold = product or objects.product(self._store, {"name": price_id})["id"]
            recurring = {"interval": interval, "interval_count": interval_count} if interval else None
            params = {"id": price_id, "currency": currency, "product": sold, "unit_amount": amount}
            return objects.price(self._store, {**params, "recurring": recurring})

    def add_card(self, customer: Any) -> Payload:
        """Give a customer a card that pays what no subscription's own does; return the payment method."""
        with self._lock:
            return self._add_method(customer, "card")

    def add_bank_account(self, customer: Any) -> Payload:
        """Give a customer a bank account in a card's place: what it pays comes later, or bounces."""
        with self._lock:
            return self._add_method(customer, "us_bank_account")

    def remove_card(self, customer: Any) -> None:
        """Take every payment method from a customer and their subscriptions."""
        with self._lock:
            owner = self._store.get("customer", id_of(customer))
            owner["invoice_settings"]["default_payment_method"] = None
            for subscription in self._store.all("subscription"):
                if subscription["customer"] == owner["id"]:
                    subscription["default_payment_method"] = None

    def fail_card(self, customer: Any, decline_code: str = "generic_decline") -> None:
        """Let the customer's payments by card be declined from now on.

        `decline_code` is Stripe's, such as "insufficient_funds", or "authentication_required" for a bank that wants
        to hear from the customer.
        """
        self._store.declining[id_of(customer)] = decline_code

    def mend_card(self, customer: Any) -> None:
        """Let the customer's payments by card succeed again; what failed waits for `retry`."""
        self._store.declining.pop(id_of(customer), None)

    def subscribe(self, customer: Any, price: Any, *, quantity: int = 1, **params: Any) -> Payload:
        """Create a subscription without a checkout and return it; the customer gets a card, if they have none.

        `params` are those of `stripe.Subscription.create`.
        """
        with self._lock:
            owner = self._store.get("customer", id_of(customer))
            if owner["invoice_settings"]["default_payment_method"] is None:
                self.add_card(owner)
            items = [{"price": id_of(price), "quantity": quantity}]
            return subscriptions.create(self._store, {"customer": owner["id"], "items": items, **params})

    def change_plan(
        self,
        subscription: Any,
        price: Any = None,
        *,
        quantity: int | None = None,
        proration_behavior: str = "create_prorations",
    ) -> Payload:
        """Move a subscription of one item to another price or quantity and return it."""
        changed = self._subscription(subscription)
        change: Payload = {"id": changed["items"]["data"][0]["id"]}
        if price is not None:
            change["price"] = id_of(price)
        if quantity is not None:
            change["quantity"] = quantity
        return self._modify(changed, items=[change], proration_behavior=proration_behavior)

    def cancel(self, subscription: Any, *, at_period_end: bool = False) -> Payload:
        """End a subscription, now or when its period ends, and return it."""
        ended = self._subscription(subscription)
        if at_period_end:
            return self._modify(ended, cancel_at_period_end=True)
        with self._lock:
            return changes.cancel(self._store, ended, {})

    def uncancel(self, subscription: Any) -> Payload:
        """Take back a cancellation that has not happened yet."""
        return self._modify(self._subscription(subscription), cancel_at_period_end=False)

    def pause(
        self, subscription: Any, *, behavior: str = "void", resumes_at: datetime | None = None
    ) -> Payload:
        """Pause the collection of payments: `behavior` is "void", "keep_as_draft" or "mark_uncollectible"."""
        moment = int(resumes_at.timestamp()) if resumes_at else None
        pause = {"behavior": behavior, "resumes_at": moment}
        return self._modify(self._subscription(subscription), pause_collection=pause)

    def resume(self, subscription: Any) -> Payload:
        """End a pause, of the collection or of a subscription whose trial ended without a payment method."""
        resumed = self._subscription(subscription)
        if resumed["status"] != "paused":
            return self._modify(resumed, pause_collection="")
        with self._lock:
            return changes.resume(self._store, resumed, {})

    def end_trial(self, subscription: Any) -> Payload:
        """End a trial now: the first paid period begins."""
        return self._modify(self._subscription(subscription), trial_end="now")

    def retry(self, invoice: Any) -> Payload:
        """Try again to collect an open invoice, as Stripe does for a while; return the invoice."""
        with self._lock:
            owed = self._store.get("invoice", id_of(invoice))
            invoices.collect(self._store, owed)
            return owed

    def end_dunning(self, subscription: Any, status: str = "canceled") -> Payload:
        """Let Stripe give up on the payments of a subscription: it ends up "canceled" or "unpaid"."""
        with self._lock:
            behind = self._subscription(subscription)
            if behind["status"] != "past_due" or status not in ("canceled", "unpaid"):
                raise Refusal(400, f"A subscription that is {behind['status']} does not become {status}.")
            if status == "canceled":
                changes.end(self._store, behind, reason="payment_failed")
            else:
                standing.update(self._store, behind, status="unpaid")
            return behind

    def catch_up(self) -> None:
        """Do everything that has become due by the present time: renewals, ends of trials and of periods, …

        Each thing happens at its own moment, in order; objects and events bear that moment. The clock is
        `time.time`, unless the fake was given another, so a library that moves time moves the fake too.
        """
        with self._lock:
            renewals.catch_up(self._store)

    @property
    def now(self) -> datetime:
        """Return the time at Stripe, in UTC."""
        return datetime.fromtimestamp(self._clock(), UTC)

    def next_due(self) -> datetime | None:
        """Return when something happens next by itself, a renewal or an end; None where nothing does."""
        with self._lock:
            moment = renewals.next_due(self._store)
        return None if moment is None else datetime.fromtimestamp(moment, UTC)

    def advance(self, by: timedelta) -> None:
        """Move the time at Stripe alone forward, and do what becomes due."""
        with self._lock:
            self._clock.advance(by)
            renewals.catch_up(self._store)

    def advance_to(self, moment: datetime) -> None:
        """Move the time at Stripe alone forward to an aware datetime, and do what becomes due."""
        with self._lock:
            self._clock.advance_to(moment)
            renewals.catch_up(self._store)

    def _add_method(self, customer: Any, kind: str) -> Payload:
        owner = self._store.get("customer", id_of(customer))
        made = objects.payment_method(self._store, owner["id"], kind, {})
        owner["invoice_settings"]["default_payment_method"] = made["id"]
        return made

    def _subscription(self, subscription: Any) -> Payload:
        return self._store.get("subscription", id_of(subscription))

    def _modify(self, subscription: Payload, **params: Any) -> Payload:
        with self._lock:
            return changes.modify(self._store, subscription, params)

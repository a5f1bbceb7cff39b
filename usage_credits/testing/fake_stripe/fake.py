"""The fake Stripe itself: its memory, its API and the hands of its customers."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from usage_credits.testing.fake_stripe import checkout, events, objects, routes
from usage_credits.testing.fake_stripe.charge_hands import ChargeHands
from usage_credits.testing.fake_stripe.clock import Clock
from usage_credits.testing.fake_stripe.delivery import Sender, deliver, through_test_client
from usage_credits.testing.fake_stripe.errors import Refusal
from usage_credits.testing.fake_stripe.forms import decode
from usage_credits.testing.fake_stripe.store import Payload, Store, id_of
from usage_credits.testing.fake_stripe.subscription_hands import SubscriptionHands


@dataclass(frozen=True)
class Answer:
    """What an HTTP request to the API is answered."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """A request as the fake remembers it; the parameters are decoded."""

    method: str
    path: str
    params: Payload


class FakeStripe(SubscriptionHands, ChargeHands):
    """An account at a Stripe that lives in this process and moves no money.

    Ids are the same in every run of the same steps; `seed` gives other ones. `clock` gives seconds since the
    epoch, `send` posts to webhook endpoints. Objects are given and returned as the dicts that Stripe's JSON
    holds; where one is expected, anything that has its "id", or the id itself, will do.
    """

    def __init__(
        self,
        *,
        seed: str = "fake",
        clock: Callable[[], float] = time.time,
        send: Sender = through_test_client,
        base_url: str = "https://checkout.stripe.test",
    ) -> None:
        self.base_url = base_url
        self.requests: list[Request] = []
        self._clock = Clock(clock)
        self._store = Store(self._clock, seed)
        self._send = send
        self._lock = threading.RLock()
        self._answers: dict[str, tuple[Request, Answer]] = {}
        self._outages: list[tuple[str, int]] = []
        self._losses: list[str] = []
        self._delivered: set[str] = set()
        self.account = objects.account(self._store)

    def handle(self, method: str, path: str, query: str, headers: Mapping[str, str]) -> Answer:
        """Answer one HTTP request; `query` is the form-encoded text of the parameters."""
        request = Request(method.lower(), path, decode(query))
        key = {name.lower(): value for name, value in headers.items()}.get("idempotency-key")
        with self._lock:
            self.requests.append(request)
            answer = self._carry_out(request, key)
        return self._lost() if any(map(path.startswith, self._losses)) else answer

    @contextmanager
    def outage(self, path: str = "/v1/", status: int = 503) -> Iterator[None]:
        """Answer every request whose path begins with `path` by an error of Stripe's own."""
        self._outages.append((path, status))
        try:
            yield
        finally:
            self._outages.remove((path, status))

    @contextmanager
    def lost_answers(self, path: str = "/v1/") -> Iterator[None]:
        """Carry out every request whose path begins with `path`, but let none of the answers arrive."""
        self._losses.append(path)
        try:
            yield
        finally:
            self._losses.remove(path)

    def get(self, kind: str, one: Any) -> Payload:
        """Return the object of `kind` ("charge", "customer", …) itself: changing it changes the fake."""
        return self._store.get(kind, id_of(one))

    def lines_of(self, session: Any) -> list[Payload]:
        """Return the line items of a checkout session."""
        lines: list[Payload] = self._store.hidden(id_of(session), "line_items").get("data", [])
        return lines

    def all(self, kind: str) -> list[Payload]:
        """Return all objects of `kind`, oldest first."""
        return list(self._store.all(kind))

    def pay(self, session: Any, *, delayed: bool = False, promotion_code: str | None = None) -> Payload:
        """Complete the checkout session and return it; `delayed` pays by a method whose money comes later."""
        with self._lock:
            paid = self.get("checkout.session", session)
            if promotion_code:
                checkout.use_promotion_code(self._store, paid, promotion_code)
            checkout.pay(self._store, paid, method="us_bank_account" if delayed else "card")
            return paid

    def settle(self, session: Any) -> Payload:
        """Let the money of a delayed payment arrive."""
        with self._lock:
            checkout.settle(self._store, self.get("checkout.session", session))
            return self.get("checkout.session", session)

    def fail(self, session: Any) -> Payload:
        """Let a delayed payment bounce."""
        with self._lock:
            checkout.fail(self._store, self.get("checkout.session", session))
            return self.get("checkout.session", session)

    def add_coupon(
        self, percent_off: int, *, code: str | None = None, duration: str = "once", months: int | None = None
    ) -> Payload:
        """Create a coupon and return it; with `code`, customers can type it as a promotion code.

        Of a subscription it counts for the first invoice, unless `duration` is "forever", or "repeating" for so
        many `months`.
        """
        params = {"percent_off": percent_off, "duration": duration, "duration_in_months": months}
        with self._lock:
            made = objects.coupon(self._store, params)
            if code:
                objects.promotion_code(self._store, {"code": code, "promotion": {"coupon": made["id"]}})
            return made

    def remove(self, kind: str, one: Any) -> None:
        """Forget an object: from now on Stripe answers that there is no such one."""
        self._store.remove(kind, id_of(one))

    @property
    def events(self) -> list[Payload]:
        """Return every event so far, oldest first."""
        return self.all("event")

    @property
    def announced(self) -> list[Payload]:
        """Return the events so far that an endpoint is enabled for, oldest first: nobody is told of the others."""
        endpoints = self.all("webhook_endpoint")
        return [
            event for event in self.events if any(events.is_wanted(event, endpoint) for endpoint in endpoints)
        ]

    @property
    def pending(self) -> list[Payload]:
        """Return the events that `deliver_pending` would post, oldest first."""
        return [event for event in self.announced if event["id"] not in self._delivered]

    def event(self, name: str) -> Payload:
        """Return the latest event of this type."""
        return next(event for event in reversed(self.events) if event["type"] == name)

    def events_for(self, subject: Any) -> list[Payload]:
        """Return those `announced` events that tell of a purchase, or of a subscription.

        A purchase is given by its payment intent or its checkout session, a subscription by itself or by its
        session. What concerns it are also its sessions, invoices and their payments, refunds and disputes.
        """
        subject_id = id_of(subject)
        session = self._store.find("checkout.session", subject_id)
        if session is not None:
            subject_id = session["subscription"] or session["payment_intent"] or subject_id
        if self._store.find("subscription", subject_id):
            about = events.about_subscription(self._store, subject_id)
            return [event for event in self.announced if event["data"]["object"]["id"] in about]
        return [
            event
            for event in self.announced
            if event["type"] in events.PURCHASE_ANNOUNCEMENTS and events.concerns(event, subject_id)
        ]

    def reissue(self, event: Payload) -> Payload:
        """Announce the same change by a second event with another id, as Stripe sometimes does."""
        with self._lock:
            return events.reissue(self._store, event)

    def add_webhook_endpoint(
        self, url: str, *, enabled_events: list[str] | None = None, api_version: str | None = None
    ) -> Payload:
        """Register a URL to which events are posted and return the endpoint with its secret.

        Events come in the shape of `api_version`, such as "2024-06-20"; today's when left out.
        """
        params = {"url": url, "enabled_events": enabled_events, "api_version": api_version}
        with self._lock:
            return objects.webhook_endpoint(self._store, params)

    def deliver(self, event: Payload, times: int = 1, *, secret: str | None = None) -> list[int]:
        """Post the event `times` times to every endpoint and return the statuses of the answers, in order.

        `secret` signs instead of the endpoint's own: a forgery.
        """
        self._delivered.add(event["id"])
        return [
            status
            for _time in range(times)
            for status in deliver(self._store, event, self._send, secret=secret)
        ]

    def deliver_pending(self) -> list[int]:
        """Post every event not delivered yet, oldest first; what is not answered 2xx stays pending."""
        statuses = []
        for event in self.pending:
            answers = self.deliver(event)
            if any(not 200 <= status < 300 for status in answers):
                self._delivered.discard(event["id"])
            statuses.extend(answers)
        return statuses

    def _carry_out(self, request: Request, key: str | None) -> Answer:
        if key in self._answers:
            return self._replay(*self._answers[key], request)
        answer = self._answer(request)
        if key is not None and answer.status < 500:
            self._answers[key] = (request, answer)
        return answer

    def _lost(self) -> Answer:
        refusal = Refusal(504, "The answer did not come in time.", kind="api_error")
        return Answer(refusal.status, json.dumps(refusal.body), {"Stripe-Should-Retry": "false"})

    def _answer(self, request: Request) -> Answer:
        try:
            for path, status in self._outages:
                if request.path.startswith(path):
                    raise Refusal(
                        status, "An error occurred with our connection to Stripe.", kind="api_error"
                    )
            body = routes.answer(
                self._store, request.method, request.path, request.params, base_url=self.base_url
            )
        except Refusal as refusal:
            # Without this header stripe-python waits and tries again.
            return Answer(refusal.status, json.dumps(refusal.body), {"Stripe-Should-Retry": "false"})
        return Answer(200, json.dumps(body), {"Request-Id": f"req_{len(self.requests):014d}"})

    def _replay(self, first: Request, answer: Answer, request: Request) -> Answer:
        if first != request:
            message = "Keys for idempotent requests can only be used with the parameters of their first use."
            refusal = Refusal(400, message, kind="idempotency_error")
            return Answer(400, json.dumps(refusal.body), {"Stripe-Should-Retry": "false"})
        return Answer(answer.status, answer.body, {**answer.headers, "Idempotent-Replayed": "true"})

"""The events of the fake: what happened, as Stripe would announce it."""

from __future__ import annotations

import copy
from typing import Any

from usage_credits.testing.fake_stripe import shapes
from usage_credits.testing.fake_stripe.objects import API_VERSION
from usage_credits.testing.fake_stripe.store import Payload, Store

PURCHASE_ANNOUNCEMENTS = frozenset(
    {
        "charge.succeeded",
        "checkout.session.async_payment_succeeded",
        "checkout.session.completed",
        "payment_intent.succeeded",
    }
)


def emit(store: Store, name: str, payload: Payload, *, before: Payload | None = None) -> Payload:
    """Record that `name` happened to the object as it is now, and return the event.

    `before` is the object as it was; the event then tells what changed.
    """
    data = _data(payload, before)
    event = store.add(
        "event",
        {
            "api_version": API_VERSION,
            "data": copy.deepcopy(data),
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": name,
        },
    )
    # Drawn up now: the older shape also tells of other objects, which may change before it is delivered.
    older_before = before and shapes.older(store, before)
    store.hide(event["id"], "older_data", _data(shapes.older(store, payload), older_before))
    return event


def reissue(store: Store, event: Payload) -> Payload:
    """Announce the same change by a second event with another id, as Stripe sometimes does."""
    again = emit(store, event["type"], event["data"]["object"])
    again["data"] = copy.deepcopy(event["data"])
    store.hide(again["id"], "older_data", store.hidden(event["id"], "older_data"))
    return again


def render(store: Store, event: Payload, api_version: str | None) -> Payload:
    """Return the event as an endpoint of this API version gets it."""
    version = api_version or event["api_version"]
    data = store.hidden(event["id"], "older_data") if shapes.is_older(version) else event["data"]
    return {**event, "api_version": version, "data": data}


def is_wanted(event: Payload, endpoint: Payload) -> bool:
    """Tell whether the endpoint is to hear of this event."""
    names = endpoint["enabled_events"]
    return endpoint["status"] == "enabled" and ("*" in names or event["type"] in names)


def concerns(event: Payload, object_id: str) -> bool:
    """Tell whether the event is about the object, or about another one that refers to it."""
    subject: dict[str, Any] = event["data"]["object"]
    return object_id in (subject["id"], subject.get("payment_intent"), subject.get("latest_charge"))


def about_subscription(store: Store, subscription_id: str) -> set[str]:
    """Return the ids of the subscription and of its sessions, invoices, their payments, refunds and disputes."""
    about = {subscription_id}
    for kind, field in _DEPENDENTS:
        about.update(one["id"] for one in store.all(kind) if about.intersection(_referred(one, field)))
        if kind == "invoice_payment":
            about.update(
                one["payment"]["payment_intent"] for one in store.all(kind) if one["invoice"] in about
            )
    return about


_DEPENDENTS = (
    ("checkout.session", "subscription"),
    ("invoice", "parent"),
    ("invoiceitem", "parent"),
    ("invoice_payment", "invoice"),
    ("charge", "payment_intent"),
    ("refund", "charge"),
    ("dispute", "charge"),
)
"""What hangs on a subscription, each kind after those it refers to, and the field that refers to them."""


def _referred(one: Payload, field: str) -> list[str]:
    value = one.get(field)
    if isinstance(value, dict):
        value = (value.get("subscription_details") or {}).get("subscription")
    return [value] if value else []


def _data(payload: Payload, before: Payload | None) -> Payload:
    return {"object": payload, **({"previous_attributes": _changes(before, payload)} if before else {})}


def _changes(before: Payload, after: Payload) -> Payload:
    changed: Payload = {}
    for name in {**before, **after}:
        was, is_now = before.get(name), after.get(name)
        if was != is_now:
            both = isinstance(was, dict) and isinstance(is_now, dict)
            changed[name] = _changes(was, is_now) if both else copy.deepcopy(was)  # type: ignore[arg-type]
    return changed

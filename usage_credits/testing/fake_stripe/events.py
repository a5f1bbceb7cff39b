"""The events of the fake: what happened, as Stripe would announce it."""

from __future__ import annotations

import copy
from typing import Any

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


def emit(store: Store, name: str, payload: Payload) -> Payload:
    """Record that `name` happened to the object as it is now, and return the event."""
    return store.add(
        "event",
        {
            "api_version": API_VERSION,
            "data": {"object": copy.deepcopy(payload)},
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": name,
        },
    )


def reissue(store: Store, event: Payload) -> Payload:
    """Announce the same change by a second event with another id, as Stripe sometimes does."""
    return emit(store, event["type"], event["data"]["object"])


def render(event: Payload, api_version: str | None) -> Payload:
    """Return the event as an endpoint of this API version gets it; so far all versions look alike."""
    return {**event, "api_version": api_version or event["api_version"]}


def is_wanted(event: Payload, endpoint: Payload) -> bool:
    """Tell whether the endpoint is to hear of this event."""
    names = endpoint["enabled_events"]
    return endpoint["status"] == "enabled" and ("*" in names or event["type"] in names)


def concerns(event: Payload, object_id: str) -> bool:
    """Tell whether the event is about the object, or about another one that refers to it."""
    subject: dict[str, Any] = event["data"]["object"]
    return object_id in (subject["id"], subject.get("payment_intent"), subject.get("latest_charge"))

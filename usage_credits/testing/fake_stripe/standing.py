"""How a subscription stands with its payments: its status follows its latest invoice."""

from __future__ import annotations

import copy
from typing import Any

from usage_credits.testing.fake_stripe.events import emit
from usage_credits.testing.fake_stripe.store import Payload, Store

_BEHIND = ("incomplete", "past_due", "unpaid")


def update(store: Store, subscription: Payload, **fields: Any) -> None:
    """Change fields of a subscription and announce what changed, if anything did."""
    before = copy.deepcopy(subscription)
    subscription.update(fields)
    announce(store, subscription, before)


def announce(store: Store, subscription: Payload, before: Payload) -> None:
    """Announce how a subscription differs from what it was, if it does."""
    if subscription != before:
        emit(store, "customer.subscription.updated", subscription, before=before)


def after_success(store: Store, invoice: Payload) -> None:
    """Let a subscription whose latest invoice is settled be active again."""
    subscription = of_invoice(store, invoice)
    if subscription is None or subscription["latest_invoice"] != invoice["id"]:
        return
    if subscription["status"] in _BEHIND:
        update(store, subscription, status="active")
    elif subscription["status"] == "paused":
        before = copy.deepcopy(subscription)
        subscription["status"] = "active"
        announce(store, subscription, before)
        emit(store, "customer.subscription.resumed", subscription)


def after_failure(store: Store, invoice: Payload) -> None:
    """Let a subscription whose latest invoice could not be paid fall behind; a first one stays incomplete."""
    subscription = of_invoice(store, invoice)
    if (
        subscription is not None
        and subscription["latest_invoice"] == invoice["id"]
        and subscription["status"] == "active"
    ):
        update(store, subscription, status="past_due")


def after_void(store: Store, invoice: Payload) -> None:
    """Let a subscription behind with an invoice that is now void stand as with the latest that is not."""
    subscription = of_invoice(store, invoice)
    if subscription is None or subscription["status"] not in ("past_due", "unpaid"):
        return
    standing = [
        one
        for one in store.all("invoice")
        if of_invoice(store, one) is subscription and one["status"] not in ("draft", "void")
    ]
    if subscription["latest_invoice"] == invoice["id"] and standing[-1]["status"] != "open":
        update(store, subscription, status="active")


def of_invoice(store: Store, invoice: Payload) -> Payload | None:
    """Return the subscription that an invoice is for."""
    details = (invoice["parent"] or {}).get("subscription_details") or {}
    return store.find("subscription", details.get("subscription"))

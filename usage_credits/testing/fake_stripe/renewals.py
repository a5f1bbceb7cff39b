"""What time brings: trials and periods end, pauses run out, incomplete subscriptions expire."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

from usage_credits.testing.fake_stripe import changes, drafts, invoices, standing
from usage_credits.testing.fake_stripe.events import emit
from usage_credits.testing.fake_stripe.invoice_lines import period_line, waiting_items
from usage_credits.testing.fake_stripe.periods import next_boundary
from usage_credits.testing.fake_stripe.store import Payload, Store
from usage_credits.testing.fake_stripe.subscriptions import (
    TRIAL_NOTICE,
    notify_of_trial_end,
    period_of,
    start_periods,
)

_INCOMPLETE_FOR = 23 * 60 * 60

Due = tuple[int, Callable[[Store, Payload], None], Payload]
"""A moment, and what happens then to which subscription or invoice."""


def catch_up(store: Store) -> None:
    """Do everything that has become due, each at its own moment, in order."""
    now = store.now()
    while due := [one for one in _all_due(store) if one[0] <= now]:
        moment, happen, subject = min(due, key=lambda one: one[0])
        with store.at(moment):
            happen(store, subject)


def next_due(store: Store) -> int | None:
    """Return when something happens next by itself; None where nothing ever does."""
    return min((moment for moment, _happen, _subject in _all_due(store)), default=None)


def _all_due(store: Store) -> Iterator[Due]:
    for subscription in store.all("subscription"):
        yield from _due(store, subscription)
    for invoice in store.all("invoice"):
        if invoice["status"] == "draft" and invoice["automatically_finalizes_at"]:
            yield invoice["automatically_finalizes_at"], invoices.advance, invoice


def _due(store: Store, subscription: Payload) -> Iterator[Due]:
    """Yield what a subscription has before it; of what falls on one moment, the first is done."""
    status = subscription["status"]
    if status in ("canceled", "incomplete_expired"):
        return
    if status == "incomplete":
        yield subscription["created"] + _INCOMPLETE_FOR, _expire, subscription
        return
    pause = subscription["pause_collection"]
    if pause and pause["resumes_at"]:
        yield pause["resumes_at"], _unpause, subscription
    if subscription["cancel_at"]:
        yield subscription["cancel_at"], _end, subscription
    if status == "trialing":
        noticed = store.hidden(subscription["id"], "trial_notice").get("trial_end")
        if noticed != subscription["trial_end"]:
            yield subscription["trial_end"] - TRIAL_NOTICE, notify_of_trial_end, subscription
        yield subscription["trial_end"], _end_trial, subscription
    elif status != "paused":
        yield period_of(subscription)[1], _renew, subscription


def _renew(store: Store, subscription: Payload) -> None:
    """Begin the next period and draw up its invoice, which is collected an hour later."""
    before = copy.deepcopy(subscription)
    ended = period_of(subscription)
    recurring = subscription["items"]["data"][0]["price"]["recurring"]
    start_periods(
        subscription, ended[1], next_boundary(subscription["billing_cycle_anchor"], recurring, ended[1])
    )
    if subscription["status"] == "trialing":
        subscription["status"] = "active"
    lines = [period_line(store, subscription, item) for item in subscription["items"]["data"]]
    invoice = drafts.draft(store, subscription, "subscription_cycle", lines, period=ended)
    is_left, is_paused = subscription["status"] == "unpaid", subscription["pause_collection"] is not None
    if is_left:
        invoice.update(auto_advance=False, automatically_finalizes_at=None)
    elif not is_paused:
        invoice["automatically_finalizes_at"] = store.now() + drafts.DRAFT_FOR
    emit(store, "invoice.created", invoice)
    standing.announce(store, subscription, before)
    if is_paused and not is_left:
        invoices.advance(store, invoice)


def _end_trial(store: Store, subscription: Payload) -> None:
    missing = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    if invoices.payment_method_of(store, subscription) or missing == "create_invoice":
        _renew(store, subscription)
    elif missing == "cancel":
        changes.end(store, subscription, reason="payment_failed")
    else:
        before = copy.deepcopy(subscription)
        subscription["status"] = "paused"
        standing.announce(store, subscription, before)
        emit(store, "customer.subscription.paused", subscription)


def _end(store: Store, subscription: Payload) -> None:
    if waiting_items(store, subscription["id"]):
        # Prorations that still wait are collected at the end.
        invoice = drafts.draft(store, subscription, "subscription_cycle", [], period=period_of(subscription))
        emit(store, "invoice.created", invoice)
        invoices.advance(store, invoice)
    changes.end(store, subscription, reason="cancellation_requested")


def _unpause(store: Store, subscription: Payload) -> None:
    standing.update(store, subscription, pause_collection=None)


def _expire(store: Store, subscription: Payload) -> None:
    standing.update(store, subscription, status="incomplete_expired", ended_at=store.now())
    invoice = store.get("invoice", subscription["latest_invoice"])
    if invoice["status"] == "open":
        invoices.void(store, invoice)

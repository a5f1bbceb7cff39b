"""How a subscription is changed: another price or quantity, an end, a pause, the end of its trial."""

from __future__ import annotations

import copy
from typing import Any

from usage_credits.testing.fake_stripe import drafts, invoices, standing
from usage_credits.testing.fake_stripe.errors import Refusal, bad_parameter
from usage_credits.testing.fake_stripe.events import emit
from usage_credits.testing.fake_stripe.forms import boolean, integer
from usage_credits.testing.fake_stripe.invoice_lines import period_line, prorate, waiting_items
from usage_credits.testing.fake_stripe.periods import next_boundary
from usage_credits.testing.fake_stripe.store import Payload, Store
from usage_credits.testing.fake_stripe.subscriptions import (
    TRIAL_NOTICE,
    check_parameters,
    notify_of_trial_end,
    period_of,
    recurring_price,
    reprice,
    show_price,
    start_periods,
)

_TAKEN = {
    "cancel_at",
    "cancel_at_period_end",
    "cancellation_details",
    "default_payment_method",
    "description",
    "items",
    "metadata",
    "off_session",
    "pause_collection",
    "payment_behavior",
    "proration_behavior",
    "trial_end",
    "trial_settings",
}

PRORATIONS = ("create_prorations", "always_invoice", "none")
_ENDED = ("canceled", "incomplete_expired")
_WORDS = ("now", "min_period_end", "max_period_end")
PAUSES = ("void", "keep_as_draft", "mark_uncollectible")


def modify(store: Store, subscription: Payload, params: Payload) -> Payload:
    """Change a subscription as the API does, announce it, and invoice what the change makes due at once."""
    _check(store, subscription, params)
    prorations = params.get("proration_behavior", "create_prorations")
    before = copy.deepcopy(subscription)
    for name in ("default_payment_method", "description", "trial_settings"):
        if name in params:
            subscription[name] = params[name] or None
    metadata = {**subscription["metadata"], **(params.get("metadata") or {})}
    subscription["metadata"] = {name: value for name, value in metadata.items() if value != ""}
    if "pause_collection" in params:
        subscription["pause_collection"] = _pause(params["pause_collection"])
    restarts = _change_items(store, subscription, params.get("items") or [], prorations)
    restarts = _change_trial(store, subscription, params.get("trial_end")) or restarts
    if restarts:
        _restart(subscription, store.now())
    _change_end(store, subscription, params)
    _announce(store, subscription, before, invoices_now=restarts or prorations == "always_invoice")
    return subscription


def cancel(store: Store, subscription: Payload, params: Payload) -> Payload:
    """End a subscription now; the time that is left is lost, unless `prorate` and `invoice_now` say otherwise."""
    if subscription["status"] in _ENDED:
        raise Refusal(
            404, f"No such subscription: '{subscription['id']}'", code="resource_missing", param="id"
        )
    if boolean(params.get("prorate")) and subscription["status"] != "trialing":
        for item in subscription["items"]["data"]:
            prorate(store, subscription, item, credit=True)
    if boolean(params.get("invoice_now")) and waiting_items(store, subscription["id"]):
        _invoice_now(store, subscription, [])
    end(store, subscription, reason="cancellation_requested")
    return subscription


def end(store: Store, subscription: Payload, *, reason: str) -> None:
    """Let a subscription end now; invoices that are still open are no longer collected."""
    now = store.now()
    subscription.update(
        status="canceled",
        ended_at=now,
        canceled_at=subscription["canceled_at"] or now,
        cancellation_details={**subscription["cancellation_details"], "reason": reason},
    )
    for invoice in store.all("invoice"):
        if standing.of_invoice(store, invoice) is subscription and invoice["status"] in ("draft", "open"):
            invoice.update(auto_advance=False, automatically_finalizes_at=None)
    emit(store, "customer.subscription.deleted", subscription)


def end_all(store: Store, customer_id: str) -> None:
    """End every subscription of a customer who is about to be deleted."""
    for subscription in store.all("subscription"):
        if subscription["customer"] == customer_id and subscription["status"] not in _ENDED:
            end(store, subscription, reason="cancellation_requested")


def resume(store: Store, subscription: Payload, params: Payload) -> Payload:
    """Take up a subscription that was paused for want of a payment method: a new period, paid first."""
    if subscription["status"] != "paused":
        raise Refusal(400, f"This subscription is {subscription['status']}, not paused.")
    if params.get("billing_cycle_anchor", "now") != "now":
        raise bad_parameter("billing_cycle_anchor", "The fake resumes with a new anchor only.")
    before = copy.deepcopy(subscription)
    _restart(subscription, store.now())
    _announce(store, subscription, before, invoices_now=True)
    return subscription


def _check(store: Store, subscription: Payload, params: Payload) -> None:
    """Refuse what is refused before anything is changed."""
    check_parameters(params, _TAKEN)
    if subscription["status"] in _ENDED:
        raise Refusal(400, "A canceled subscription can only update its cancellation_details and metadata.")
    if params.get("proration_behavior", "none") not in PRORATIONS:
        raise bad_parameter("proration_behavior", "Invalid proration_behavior.")
    if params.get("payment_behavior", "allow_incomplete") not in ("allow_incomplete", "default_incomplete"):
        raise bad_parameter("payment_behavior", "The fake changes first and collects then.")
    if params.get("pause_collection"):
        _pause(params["pause_collection"])
    for change in params.get("items") or []:
        _item_of(subscription, change)
        if change.get("price"):
            recurring_price(store, change["price"])
    for name in ("cancel_at", "trial_end"):
        value = params.get(name)
        if value and value not in _WORDS and integer(value) <= store.now():
            raise bad_parameter(name, "Invalid timestamp: must be an integer in the future.")


def _change_items(store: Store, subscription: Payload, changes: list[Payload], prorations: str) -> bool:
    """Change prices and quantities; tell whether a new period begins."""
    restarts = False
    for change in changes:
        item = _item_of(subscription, change)
        was = copy.deepcopy(item)
        if change.get("price"):
            reprice(store, item, change["price"])
        if "quantity" in change:
            item["quantity"] = integer(change["quantity"])
        if (was["price"]["id"], was["quantity"]) == (item["price"]["id"], item["quantity"]):
            continue
        if subscription["status"] == "trialing":
            continue
        steps = ("interval", "interval_count")
        new_steps = [was["price"]["recurring"][name] for name in steps] != [
            item["price"]["recurring"][name] for name in steps
        ]
        from_free = was["price"]["unit_amount"] == 0 < item["price"]["unit_amount"]
        if prorations != "none":
            prorate(store, subscription, was, credit=True)
            if not new_steps and not from_free:
                prorate(store, subscription, item, credit=False)
        restarts = restarts or new_steps or from_free
    show_price(subscription)
    return restarts


def _item_of(subscription: Payload, change: Payload) -> Payload:
    items: list[Payload] = subscription["items"]["data"]
    if not change.get("id"):
        raise bad_parameter("items[0][id]", "The fake changes the items of a subscription; it adds none.")
    for item in items:
        if item["id"] == change["id"]:
            return item
    raise Refusal(
        404, f"No such subscription item: '{change['id']}'", code="resource_missing", param="items[0][id]"
    )


def _change_trial(store: Store, subscription: Payload, trial_end: Any) -> bool:
    """Move the end of the trial; tell whether it ends now."""
    if trial_end is None:
        return False
    now = store.now()
    if trial_end == "now":
        if subscription["status"] != "trialing":
            return False
        subscription.update(status="active", trial_end=now)
        notify_of_trial_end(store, subscription)
        return True
    moment = integer(trial_end)
    subscription.update(
        status="trialing",
        billing_cycle_anchor=moment,
        trial_end=moment,
        trial_start=subscription["trial_start"] or now,
    )
    start_periods(subscription, period_of(subscription)[0], moment)
    if moment - TRIAL_NOTICE <= now:
        notify_of_trial_end(store, subscription)
    return False


def _restart(subscription: Payload, now: int) -> None:
    subscription["billing_cycle_anchor"] = now
    recurring = subscription["items"]["data"][0]["price"]["recurring"]
    start_periods(subscription, now, next_boundary(now, recurring, now))
    if subscription["cancel_at_period_end"]:
        subscription["cancel_at"] = period_of(subscription)[1]


def _change_end(store: Store, subscription: Payload, params: Payload) -> None:
    subscription["cancellation_details"] = {
        **subscription["cancellation_details"],
        **(params.get("cancellation_details") or {}),
    }
    if "cancel_at_period_end" in params:
        at_period_end = boolean(params["cancel_at_period_end"])
        moment = period_of(subscription)[1] if at_period_end else None
    elif "cancel_at" in params:
        at_period_end, moment = False, _end_of(subscription, params["cancel_at"])
    else:
        return
    reason = "cancellation_requested" if moment else None
    subscription.update(
        cancel_at=moment,
        cancel_at_period_end=at_period_end,
        canceled_at=store.now() if moment else None,
        cancellation_details={**subscription["cancellation_details"], "reason": reason},
    )


def _end_of(subscription: Payload, value: Any) -> int | None:
    if value in ("min_period_end", "max_period_end"):
        return period_of(subscription)[1]
    return integer(value) or None


def _pause(value: Any) -> Payload | None:
    if not value:
        return None
    if value.get("behavior") not in PAUSES:
        raise bad_parameter("pause_collection[behavior]", f"Must be one of {', '.join(PAUSES)}.")
    return {"behavior": value["behavior"], "resumes_at": integer(value.get("resumes_at")) or None}


def _announce(store: Store, subscription: Payload, before: Payload, *, invoices_now: bool) -> None:
    """Announce a change and, if it is to be invoiced now, pay for it; a new period has lines of its own."""
    restarted = period_of(subscription)[0] != period_of(before)[0]
    lines = [period_line(store, subscription, item) for item in subscription["items"]["data"]]
    invoice = None
    # Of a trial ended early and of a subscription resumed, Stripe's documentation does not tell the billing_reason.
    if invoices_now and (restarted or waiting_items(store, subscription["id"])):
        invoice = drafts.draft(store, subscription, "subscription_update", lines if restarted else [])
    standing.announce(store, subscription, before)
    if invoice is not None:
        emit(store, "invoice.created", invoice)
        invoices.advance(store, invoice)


def _invoice_now(store: Store, subscription: Payload, lines: list[Payload]) -> None:
    invoice = drafts.draft(store, subscription, "subscription_update", lines)
    emit(store, "invoice.created", invoice)
    invoices.advance(store, invoice)

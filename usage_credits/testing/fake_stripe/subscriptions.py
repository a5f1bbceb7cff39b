"""Subscriptions of the fake: made by checkout or the API, each with its first invoice."""

from __future__ import annotations

import copy
from typing import Any

from usage_credits.testing.fake_stripe import discounts, drafts, invoices, objects, payments
from usage_credits.testing.fake_stripe.errors import Refusal, bad_parameter
from usage_credits.testing.fake_stripe.events import emit
from usage_credits.testing.fake_stripe.forms import boolean, integer
from usage_credits.testing.fake_stripe.invoice_lines import period_line
from usage_credits.testing.fake_stripe.periods import DAY, next_boundary
from usage_credits.testing.fake_stripe.shapes import plan
from usage_credits.testing.fake_stripe.store import Payload, Store

TRIAL_NOTICE = 3 * DAY

_TAKEN = {
    "cancel_at",
    "cancel_at_period_end",
    "collection_method",
    "currency",
    "customer",
    "default_payment_method",
    "description",
    "items",
    "metadata",
    "off_session",
    "payment_behavior",
    "payment_settings",
    "trial_end",
    "trial_period_days",
    "trial_settings",
}

PAYMENT_BEHAVIORS = ("allow_incomplete", "default_incomplete", "error_if_incomplete", "pending_if_incomplete")


def create(store: Store, params: Payload) -> Payload:
    """Create a subscription as the API does, and pay its first invoice by the customer's card."""
    check_parameters(params, _TAKEN)
    behavior = params.get("payment_behavior", "allow_incomplete")
    if behavior not in PAYMENT_BEHAVIORS:
        raise bad_parameter("payment_behavior", f"Invalid payment_behavior: {behavior}")
    customer = store.get("customer", params["customer"], param="customer")
    sold = [(recurring_price(store, item["price"]), _quantity(item)) for item in params["items"]]
    due = sum(price["unit_amount"] * quantity for price, quantity in sold)
    if due and not _trial_end(store, params):
        if behavior != "default_incomplete" and not _can_pay(customer, params):
            raise Refusal(
                400,
                "This customer has no attached payment source or default payment method.",
                code="resource_missing",
            )
        if behavior == "error_if_incomplete" and customer["id"] in store.declining:
            raise payments.declined()
    subscription = begin(store, customer["id"], sold, params)
    invoice = store.get("invoice", subscription["latest_invoice"])
    if invoice["status"] == "open" and behavior != "default_incomplete":
        invoices.collect(store, invoice)
    return subscription


def begin(
    store: Store,
    customer_id: str,
    sold: list[tuple[Payload, int]],
    params: Payload,
    *,
    coupon: Payload | None = None,
) -> Payload:
    """Create a subscription for prices and quantities, and finalise its first invoice."""
    trial_end = _trial_end(store, params)
    subscription = _subscription(store, customer_id, sold, params, trial_end)
    if coupon is not None:
        discounts.keep(store, subscription, coupon)
    lines = [period_line(store, subscription, item) for item in subscription["items"]["data"]]
    invoice = drafts.draft(store, subscription, "subscription_create", lines)
    emit(store, "customer.subscription.created", subscription)
    emit(store, "invoice.created", invoice)
    invoices.finalize(store, invoice)
    if trial_end and trial_end - TRIAL_NOTICE <= store.now():
        notify_of_trial_end(store, subscription)
    return subscription


def notify_of_trial_end(store: Store, subscription: Payload) -> None:
    """Announce, once for each end, that the trial is about to end."""
    store.hide(subscription["id"], "trial_notice", {"trial_end": subscription["trial_end"]})
    emit(store, "customer.subscription.trial_will_end", subscription)


def start_periods(subscription: Payload, start: int, end: int) -> None:
    """Let the current period of every item begin and end at these moments."""
    for item in subscription["items"]["data"]:
        item.update(current_period_start=start, current_period_end=end)


def period_of(subscription: Payload) -> tuple[int, int]:
    """Return when the current period began and when it ends."""
    item = subscription["items"]["data"][0]
    return item["current_period_start"], item["current_period_end"]


def show_price(subscription: Payload) -> None:
    """Repeat what a subscription of a single item costs on the subscription itself, as Stripe does."""
    items = subscription["items"]["data"]
    single = items[0] if len(items) == 1 else None
    subscription["plan"] = copy.deepcopy(single["plan"]) if single else None
    subscription["quantity"] = single["quantity"] if single else None


def reprice(store: Store, item: Payload, price_id: str) -> None:
    """Let a subscription item be of another price."""
    price = recurring_price(store, price_id)
    item.update(price=copy.deepcopy(price), plan=plan(price))


def recurring_price(store: Store, price_id: str) -> Payload:
    """Return a price that a subscription can be of."""
    price = store.get("price", price_id, param="items[0][price]")
    if not price["recurring"]:
        message = f"The price specified is set to `type=one_time`: {price_id}"
        raise bad_parameter("items[0][price]", message)
    return price


def check_parameters(params: Payload, taken: set[str]) -> None:
    """Refuse parameters that the fake would ignore."""
    for name in params:
        if name not in taken:
            message = f"The fake takes no {name} for subscriptions."
            raise Refusal(400, message, code="parameter_unknown", param=name)
    if params.get("collection_method", "charge_automatically") != "charge_automatically":
        raise bad_parameter("collection_method", "The fake charges automatically only.")


def _subscription(
    store: Store, customer_id: str, sold: list[tuple[Payload, int]], params: Payload, trial_end: int | None
) -> Payload:
    now = store.now()
    recurring = sold[0][0]["recurring"]
    for price, _quantity in sold:
        steps = [price["recurring"][name] for name in ("interval", "interval_count")]
        if steps != [recurring["interval"], recurring["interval_count"]]:
            raise bad_parameter("items", "The prices of a subscription must have the same interval.")
    anchor = trial_end or now
    subscription = store.add(
        "subscription",
        {
            **copy.deepcopy(_PLAIN),
            "billing_cycle_anchor": anchor,
            "currency": sold[0][0]["currency"],
            "customer": customer_id,
            "default_payment_method": params.get("default_payment_method") or None,
            "description": params.get("description"),
            "metadata": dict(params.get("metadata") or {}),
            "start_date": now,
            "status": "trialing" if trial_end else "incomplete",
            "trial_end": trial_end,
            "trial_settings": params.get("trial_settings") or copy.deepcopy(_PLAIN["trial_settings"]),
            "trial_start": now if trial_end else None,
        },
    )
    url = f"/v1/subscription_items?subscription={subscription['id']}"
    items = [_item(store, subscription["id"], price, quantity) for price, quantity in sold]
    subscription["items"] = {**objects.listing(url, items), "total_count": len(items)}
    start_periods(subscription, now, trial_end or next_boundary(anchor, recurring, now))
    show_price(subscription)
    end = period_of(subscription)[1]
    if boolean(params.get("cancel_at_period_end")):
        subscription.update(cancel_at_period_end=True, cancel_at=end, canceled_at=now)
    elif params.get("cancel_at"):
        subscription.update(cancel_at=integer(params["cancel_at"]), canceled_at=now)
    return subscription


def _item(store: Store, subscription_id: str, price: Payload, quantity: int) -> Payload:
    return store.add(
        "subscription_item",
        {
            "billing_thresholds": None,
            "discounts": [],
            "plan": plan(price),
            "price": copy.deepcopy(price),
            "quantity": quantity,
            "subscription": subscription_id,
            "tax_rates": [],
        },
    )


def _quantity(item: Payload) -> int:
    return integer(item["quantity"]) if "quantity" in item else 1


def _trial_end(store: Store, params: Payload) -> int | None:
    days = integer(params.get("trial_period_days"))
    end = params.get("trial_end")
    if end == "now":
        return None
    trial_end = integer(end) or (store.now() + days * DAY if days else 0)
    if trial_end and trial_end <= store.now():
        raise bad_parameter("trial_end", "Invalid timestamp: must be an integer in the future.")
    return trial_end or None


def _can_pay(customer: Payload, params: Payload) -> Any:
    return params.get("default_payment_method") or customer["invoice_settings"]["default_payment_method"]


_PLAIN: Payload = {
    "application": None,
    "application_fee_percent": None,
    "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
    "billing_cycle_anchor_config": None,
    "billing_mode": {"type": "classic", "flexible": None},
    "billing_thresholds": None,
    "cancel_at": None,
    "cancel_at_period_end": False,
    "canceled_at": None,
    "cancellation_details": {"comment": None, "feedback": None, "reason": None},
    "collection_method": "charge_automatically",
    "days_until_due": None,
    "default_source": None,
    "default_tax_rates": [],
    "discounts": [],
    "ended_at": None,
    "invoice_settings": {"account_tax_ids": None, "issuer": {"type": "self"}},
    "latest_invoice": None,
    "next_pending_invoice_item_invoice": None,
    "on_behalf_of": None,
    "pause_collection": None,
    "payment_settings": {
        "payment_method_options": None,
        "payment_method_types": None,
        "save_default_payment_method": "off",
    },
    "pending_invoice_item_interval": None,
    "pending_setup_intent": None,
    "pending_update": None,
    "schedule": None,
    "test_clock": None,
    "transfer_data": None,
    "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
}

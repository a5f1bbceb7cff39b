"""Checkout Sessions that sell a subscription."""

from __future__ import annotations

from usage_credits.testing.fake_stripe import invoices, objects, payments, subscriptions
from usage_credits.testing.fake_stripe.errors import bad_parameter
from usage_credits.testing.fake_stripe.forms import integer
from usage_credits.testing.fake_stripe.store import Payload, Store

_SUBSCRIPTION_DATA = {"description", "metadata", "trial_end", "trial_period_days", "trial_settings"}


def check(store: Store, params: Payload, lines: list[Payload]) -> None:
    """Refuse what Stripe refuses in this mode; where a trial comes first, nothing is due today."""
    for name in ("payment_intent_data", "customer_creation", "submit_type"):
        if params.get(name):
            raise bad_parameter(name, f"You can not pass `{name}` in `subscription` mode.")
    if not all(line["price"]["recurring"] for line in lines):
        raise bad_parameter("line_items", "The fake sells recurring prices only in `subscription` mode.")
    data = params.get("subscription_data") or {}
    for name in data:
        if name not in _SUBSCRIPTION_DATA:
            raise bad_parameter(f"subscription_data[{name}]", f"The fake takes no subscription_data[{name}].")
    if integer(data.get("trial_period_days")) and data.get("trial_end"):
        raise bad_parameter(
            "subscription_data", "You may only specify one of trial_end and trial_period_days."
        )
    if data.get("trial_period_days") or data.get("trial_end"):
        for line in lines:
            line.update(amount_subtotal=0, amount_total=0)


def subscribe(store: Store, session: Payload, method: str, details: Payload) -> None:
    """Begin the subscription and pay its first invoice."""
    if session["customer"] is None:
        session["customer"] = objects.customer(store, {"email": details["email"]})["id"]
    if method == "card" and session["amount_total"] and session["customer"] in store.declining:
        raise payments.declined()
    params = dict(store.hidden(session["id"], "subscription_data"))
    if session["amount_total"] or session["payment_method_collection"] == "always":
        made = objects.payment_method(store, session["customer"], method, details)
        params["default_payment_method"] = made["id"]
    lines = store.hidden(session["id"], "line_items")["data"]
    subscription = subscriptions.begin(
        store,
        session["customer"],
        [(line["price"], line["quantity"]) for line in lines],
        params,
        coupon=store.get("coupon", session["discounts"][0]["coupon"]) if session["discounts"] else None,
    )
    invoice = store.get("invoice", subscription["latest_invoice"])
    session.update(subscription=subscription["id"], invoice=invoice["id"])
    if invoice["status"] == "open":
        invoices.collect(store, invoice, method=method)
    if not session["amount_total"]:
        session["payment_status"] = "no_payment_required"
    elif invoice["status"] == "paid":
        session["payment_status"] = "paid"

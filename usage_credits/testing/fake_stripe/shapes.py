"""Payloads as they were before API version 2025-03-31 ("basil"), for webhook endpoints of an older version."""

from __future__ import annotations

import copy
from collections.abc import Callable

from usage_credits.testing.fake_stripe.store import Payload, Store

_BASIL = "2025-03-31"


def is_older(api_version: str) -> bool:
    """Tell whether payloads of this version have the older shape."""
    return api_version[:10] < _BASIL


def older(store: Store, payload: Payload) -> Payload:
    """Return a copy of the object in the older shape."""
    shaped = copy.deepcopy(payload)
    shape = _SHAPES.get(payload.get("object", ""))
    if shape:
        shape(store, shaped)
    return shaped


def plan(price: Payload) -> Payload:
    """Return a recurring price as the plan that it was before there were prices."""
    recurring = price["recurring"]
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": price["billing_scheme"],
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring["interval"],
        "interval_count": recurring["interval_count"],
        "livemode": price["livemode"],
        "metadata": price["metadata"],
        "meter": None,
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": None,
        "transform_usage": None,
        "trial_period_days": None,
        "usage_type": "licensed",
    }


def _subscription(store: Store, shaped: Payload) -> None:
    items = shaped["items"]["data"]
    shaped["current_period_start"] = min(item["current_period_start"] for item in items)
    shaped["current_period_end"] = min(item["current_period_end"] for item in items)
    for item in items:
        del item["current_period_start"], item["current_period_end"]
    shaped.pop("billing_mode")
    shaped["discount"] = None


def _invoice(store: Store, shaped: Payload) -> None:
    details = (shaped.pop("parent") or {}).get("subscription_details") or {}
    intent = _intent_of(store, shaped["id"])
    shaped.pop("total_taxes")
    shaped.pop("total_pretax_credit_amounts")
    shaped.update(
        charge=intent["latest_charge"] if intent else None,
        discount=None,
        paid=shaped["status"] == "paid",
        paid_out_of_band=False,
        payment_intent=intent["id"] if intent else None,
        quote=None,
        subscription=details.get("subscription"),
        subscription_details={"metadata": details.get("metadata")},
        tax=None,
        total_tax_amounts=[],
        transfer_data=None,
    )
    for line in shaped["lines"]["data"]:
        _line(store, line)


def _line(store: Store, shaped: Payload) -> None:
    parent = shaped.pop("parent") or {}
    details = parent.get("subscription_item_details") or parent.get("invoice_item_details") or {}
    item_id = details.get("invoice_item")
    shaped.pop("taxes")
    shaped.pop("pretax_credit_amounts")
    shaped.update(
        **_price(store, shaped.pop("pricing")),
        amount_excluding_tax=shaped["amount"],
        proration=details.get("proration", False),
        proration_details=details.get("proration_details") or {"credited_items": None},
        subscription=details.get("subscription"),
        subscription_item=details.get("subscription_item"),
        tax_amounts=[],
        tax_rates=[],
        type="invoiceitem" if item_id else "subscription",
    )
    if item_id:
        shaped["invoice_item"] = item_id


def _invoiceitem(store: Store, shaped: Payload) -> None:
    details = (shaped.pop("parent") or {}).get("subscription_details") or {}
    priced = _price(store, shaped.pop("pricing"))
    shaped.update(
        **priced,
        subscription=details.get("subscription"),
        subscription_item=details.get("subscription_item"),
        unit_amount=priced["price"]["unit_amount"],
        unit_amount_decimal=priced["price"]["unit_amount_decimal"],
    )


def _payment_intent(store: Store, shaped: Payload) -> None:
    shaped["invoice"] = _invoice_of(store, shaped["id"])


def _charge(store: Store, shaped: Payload) -> None:
    shaped["invoice"] = _invoice_of(store, shaped["payment_intent"])


def _price(store: Store, pricing: Payload) -> Payload:
    price = copy.deepcopy(store.get("price", pricing["price_details"]["price"]))
    return {"price": price, "plan": plan(price) if price["recurring"] else None}


def _intent_of(store: Store, invoice_id: str) -> Payload | None:
    for payment in store.all("invoice_payment"):
        if payment["invoice"] == invoice_id:
            return store.find("payment_intent", payment["payment"]["payment_intent"])
    return None


def _invoice_of(store: Store, intent_id: str) -> str | None:
    for payment in store.all("invoice_payment"):
        if payment["payment"]["payment_intent"] == intent_id:
            return str(payment["invoice"])
    return None


_SHAPES: dict[str, Callable[[Store, Payload], None]] = {
    "charge": _charge,
    "invoice": _invoice,
    "invoiceitem": _invoiceitem,
    "payment_intent": _payment_intent,
    "subscription": _subscription,
}

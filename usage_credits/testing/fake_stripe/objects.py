"""The objects of Stripe in their present shape (API version "basil" and later)."""

from __future__ import annotations

from typing import Any

from usage_credits.testing.fake_stripe.errors import bad_parameter
from usage_credits.testing.fake_stripe.forms import integer
from usage_credits.testing.fake_stripe.store import Payload, Store

API_VERSION = "2026-05-27.dahlia"

FEE_PERCENT = 3


def listing(url: str, items: list[Payload], *, has_more: bool = False) -> Payload:
    return {"object": "list", "url": url, "has_more": has_more, "data": items}


def account(store: Store) -> Payload:
    return store.add(
        "account",
        {
            "business_profile": {"name": "Fake Stripe", "url": None},
            "charges_enabled": True,
            "country": "US",
            "default_currency": "usd",
            "details_submitted": True,
            "email": "account@example.com",
            "payouts_enabled": True,
            "settings": {"dashboard": {"display_name": "Fake Stripe", "timezone": "Etc/UTC"}},
            "type": "standard",
        },
    )


def customer(store: Store, params: Payload) -> Payload:
    return store.add(
        "customer",
        {
            "address": params.get("address"),
            "balance": 0,
            "currency": None,
            "default_source": None,
            "delinquent": False,
            "description": params.get("description"),
            "discount": None,
            "email": params.get("email"),
            "invoice_prefix": None,
            "invoice_settings": {"custom_fields": None, "default_payment_method": None, "footer": None},
            "metadata": params.get("metadata") or {},
            "name": params.get("name"),
            "phone": params.get("phone"),
            "preferred_locales": params.get("preferred_locales") or [],
            "shipping": params.get("shipping"),
            "tax_exempt": params.get("tax_exempt", "none"),
        },
    )


def product(store: Store, params: Payload) -> Payload:
    return store.add(
        "product",
        {
            "active": True,
            "default_price": None,
            "description": params.get("description"),
            "images": [],
            "marketing_features": [],
            "metadata": params.get("metadata") or {},
            "name": params["name"],
            "package_dimensions": None,
            "shippable": None,
            "statement_descriptor": None,
            "tax_code": None,
            "type": "service",
            "unit_label": None,
            "updated": store.now(),
            "url": None,
        },
    )


def price(store: Store, params: Payload) -> Payload:
    product_data = params.get("product_data")
    sold = product(store, product_data) if product_data else store.get("product", params["product"])
    recurring = params.get("recurring")
    amount = integer(params["unit_amount"])
    return store.add(
        "price",
        {
            **({"id": params["id"]} if params.get("id") else {}),
            "active": True,
            "billing_scheme": "per_unit",
            "currency": params["currency"].lower(),
            "lookup_key": params.get("lookup_key"),
            "metadata": params.get("metadata") or {},
            "nickname": params.get("nickname"),
            "product": sold["id"],
            "recurring": recurring
            and {
                "interval": recurring["interval"],
                "interval_count": integer(recurring.get("interval_count")) or 1,
                "meter": None,
                "trial_period_days": None,
                "usage_type": "licensed",
            },
            "tax_behavior": "unspecified",
            "tiers_mode": None,
            "transform_quantity": None,
            "type": "recurring" if recurring else "one_time",
            "unit_amount": amount,
            "unit_amount_decimal": str(amount),
        },
    )


def coupon(store: Store, params: Payload) -> Payload:
    if not params.get("percent_off") and not params.get("amount_off"):
        raise bad_parameter("percent_off", "Must provide percent_off or amount_off.")
    return store.add(
        "coupon",
        {
            "amount_off": integer(params["amount_off"]) if params.get("amount_off") else None,
            "currency": params.get("currency"),
            "duration": params.get("duration", "once"),
            "duration_in_months": integer(params.get("duration_in_months")) or None,
            "name": params.get("name"),
            "percent_off": float(params["percent_off"]) if params.get("percent_off") else None,
            "valid": True,
        },
    )


def promotion_code(store: Store, params: Payload) -> Payload:
    used = store.get("coupon", params["promotion"]["coupon"], param="promotion[coupon]")
    return store.add(
        "promotion_code",
        {
            "active": True,
            "code": params.get("code", "FAKE"),
            "customer": None,
            "promotion": {"type": "coupon", "coupon": used["id"]},
        },
    )


def webhook_endpoint(store: Store, params: Payload) -> Payload:
    return store.add(
        "webhook_endpoint",
        {
            "api_version": params.get("api_version"),
            "application": None,
            "description": params.get("description"),
            "enabled_events": params.get("enabled_events") or ["*"],
            "metadata": params.get("metadata") or {},
            "secret": "whsec_" + store.new_id("coupon", length=32),
            "status": "enabled",
            "url": params["url"],
        },
    )


def payment_method(store: Store, customer_id: str | None, kind: str, billing_details: Payload) -> Payload:
    details: dict[str, Any] = {"card": {"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2034}}
    return store.add(
        "payment_method",
        {
            "billing_details": billing_details,
            "customer": customer_id,
            "type": kind,
            kind: details.get(kind, {"last4": "6789"}),
        },
    )


def payment_intent(store: Store, fields: Payload) -> Payload:
    intent = store.add(
        "payment_intent",
        {
            "amount": integer(fields["amount"]),
            "amount_capturable": 0,
            "amount_received": 0,
            "cancellation_reason": None,
            "canceled_at": None,
            "capture_method": "automatic_async",
            "confirmation_method": "automatic",
            "currency": fields["currency"].lower(),
            "customer": fields.get("customer"),
            "description": fields.get("description"),
            "last_payment_error": None,
            "latest_charge": None,
            "metadata": dict(fields.get("metadata") or {}),
            "next_action": None,
            "on_behalf_of": None,
            "payment_method": fields.get("payment_method"),
            "payment_method_types": fields.get("payment_method_types") or ["card"],
            "receipt_email": fields.get("receipt_email"),
            "setup_future_usage": fields.get("setup_future_usage"),
            "statement_descriptor": fields.get("statement_descriptor"),
            "status": "requires_payment_method",
        },
    )
    intent["client_secret"] = f"{intent['id']}_secret_fake"
    return intent


def charge(store: Store, intent: Payload, status: str) -> Payload:
    method = store.get("payment_method", intent["payment_method"])
    made = store.add(
        "charge",
        {
            "amount": intent["amount"],
            "amount_captured": 0,
            "amount_refunded": 0,
            "balance_transaction": None,
            "billing_details": method["billing_details"],
            "captured": False,
            "currency": intent["currency"],
            "customer": intent["customer"],
            "description": intent["description"],
            "disputed": False,
            "failure_code": None,
            "failure_message": None,
            # Stripe copies the metadata once, when the payment is confirmed.
            "metadata": dict(intent["metadata"]),
            "outcome": None,
            "paid": False,
            "payment_intent": intent["id"],
            "payment_method": method["id"],
            "payment_method_details": {"type": method["type"], method["type"]: method[method["type"]]},
            "receipt_email": None,
            "receipt_url": None,
            "refunded": False,
            "status": status,
        },
    )
    intent["latest_charge"] = made["id"]
    return made


def balance_transaction(store: Store, source: Payload) -> Payload:
    fee = source["amount"] * FEE_PERCENT // 100
    return store.add(
        "balance_transaction",
        {
            "amount": source["amount"],
            "available_on": store.now(),
            "currency": source["currency"],
            "description": source.get("description"),
            "exchange_rate": None,
            "fee": fee,
            "fee_details": [],
            "net": source["amount"] - fee,
            "reporting_category": source["object"],
            "source": source["id"],
            "status": "available",
            "type": source["object"],
        },
    )

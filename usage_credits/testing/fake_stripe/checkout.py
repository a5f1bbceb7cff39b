"""Checkout Sessions of the fake: made by the seller, then paid, settled later, refused or left to expire."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stripe.params.checkout import SessionCreateParams

from usage_credits.testing.fake_stripe import invoices, objects, payments, subscription_checkout
from usage_credits.testing.fake_stripe.discounts import amount_off
from usage_credits.testing.fake_stripe.errors import Refusal, bad_parameter
from usage_credits.testing.fake_stripe.events import emit
from usage_credits.testing.fake_stripe.forms import boolean, integer
from usage_credits.testing.fake_stripe.store import Payload, Store

_LIFETIME = 24 * 60 * 60

_COLLECTION = {"payment": "if_required", "subscription": "always"}

_SHOWN_AS_GIVEN = (
    "after_expiration",
    "automatic_tax",
    "billing_address_collection",
    "cancel_url",
    "client_reference_id",
    "consent_collection",
    "custom_fields",
    "custom_text",
    "customer_creation",
    "customer_email",
    "locale",
    "phone_number_collection",
    "return_url",
    "shipping_address_collection",
    "submit_type",
    "success_url",
)


def create_session(store: Store, params: Payload, *, base_url: str) -> Payload:
    """Create an open session; refuses what Stripe refuses of the parameters that a seller of credits uses."""
    _check(params)
    customer_id = params.get("customer")
    if customer_id:
        store.get("customer", customer_id, param="customer")
    lines = [_line(store, number, item) for number, item in enumerate(params["line_items"])]
    if params["mode"] == "subscription":
        subscription_checkout.check(store, params, lines)
    elif any(line["price"]["recurring"] for line in lines) or params.get("subscription_data"):
        raise bad_parameter("mode", "Recurring prices and subscription_data take `subscription` mode.")
    session_id = store.new_id("checkout.session", length=58)
    store.hide(session_id, "subscription_data", params.get("subscription_data") or {})
    subtotal = sum(line["amount_subtotal"] for line in lines)
    session = store.add(
        "checkout.session",
        {
            "id": session_id,
            "allow_promotion_codes": boolean(params.get("allow_promotion_codes")) or None,
            "amount_subtotal": subtotal,
            "amount_total": subtotal,
            "currency": lines[0]["currency"],
            "customer": customer_id,
            "customer_details": None,
            "discounts": [],
            "expires_at": store.now() + _LIFETIME,
            "invoice": None,
            "metadata": params.get("metadata") or {},
            "mode": params["mode"],
            "payment_intent": None,
            "payment_method_collection": params.get("payment_method_collection", _COLLECTION[params["mode"]]),
            "payment_method_types": params.get("payment_method_types") or ["card"],
            "payment_status": "unpaid",
            "setup_intent": None,
            "status": "open",
            "subscription": None,
            "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
            "ui_mode": "hosted",
            "url": f"{base_url}/checkout/{session_id}",
            **{name: params.get(name) for name in _SHOWN_AS_GIVEN},
        },
    )
    store.hide(
        session_id, "line_items", objects.listing(f"/v1/checkout/sessions/{session_id}/line_items", lines)
    )
    store.hide(session_id, "payment_intent_data", params.get("payment_intent_data") or {})
    for discount in params.get("discounts") or []:
        _apply(store, session, discount)
    return session


def pay(store: Store, session: Payload, *, method: str = "card", email: str = "buyer@example.com") -> None:
    """Let the customer complete the session; the money comes at once by card, later by other methods."""
    _require_open(session)
    details = {"address": None, "email": session["customer_email"] or email, "name": None, "phone": None}
    session["customer_details"] = {**details, "tax_exempt": "none", "tax_ids": []}
    if session["customer"] is None and session["customer_creation"] == "always":
        session["customer"] = objects.customer(store, {"email": details["email"]})["id"]
    _PAYMENT_OF[session["mode"]](store, session, method, details)
    session.update(status="complete", url=None)
    emit(store, "checkout.session.completed", session)


def settle(store: Store, session: Payload) -> None:
    """Let the money of a delayed payment arrive."""
    intent, invoice = _processing_payment(store, session)
    payments.succeed(store, intent)
    if invoice is not None:
        invoices.settle(store, invoice)
    session["payment_status"] = "paid"
    emit(store, "checkout.session.async_payment_succeeded", session)


def fail(store: Store, session: Payload) -> None:
    """Let a delayed payment bounce."""
    intent, invoice = _processing_payment(store, session)
    payments.fail(store, intent)
    if invoice is not None:
        invoices.refuse(store, invoice)
    emit(store, "checkout.session.async_payment_failed", session)


def expire(store: Store, session: Payload) -> Payload:
    """Close an open session without payment."""
    _require_open(session)
    session.update(status="expired", url=None)
    emit(store, "checkout.session.expired", session)
    return session


def use_promotion_code(store: Store, session: Payload, code: str) -> None:
    """Apply a promotion code that the customer typed."""
    _require_open(session)
    if not session["allow_promotion_codes"]:
        raise bad_parameter("promotion_code", "This session takes no promotion codes.")
    for known in store.all("promotion_code"):
        if known["active"] and known["code"].casefold() == code.casefold():
            _apply(store, session, {"promotion_code": known["id"]})
            return
    raise bad_parameter("promotion_code", f"This code is invalid: {code}")


def _check(params: Payload) -> None:
    for name in params:
        if name not in SessionCreateParams.__annotations__:
            raise Refusal(400, f"Received unknown parameter: {name}", code="parameter_unknown", param=name)
    if params.get("mode") not in _PAYMENT_OF:
        raise bad_parameter(
            "mode", f"The fake has no mode {params.get('mode')!r}; it has {', '.join(_PAYMENT_OF)}."
        )
    if not params.get("line_items"):
        raise bad_parameter("line_items", "At least one line item is required.")
    if params.get("customer") and (params.get("customer_email") or params.get("customer_creation")):
        raise bad_parameter(
            "customer", "You may only specify one of customer and customer_email or customer_creation."
        )
    if params.get("discounts") and boolean(params.get("allow_promotion_codes")):
        raise bad_parameter("discounts", "You may only specify one of allow_promotion_codes and discounts.")


def _line(store: Store, number: int, item: Payload) -> Payload:
    price = (
        store.get("price", item["price"]) if item.get("price") else objects.price(store, item["price_data"])
    )
    quantity = integer(item["quantity"])
    amount = price["unit_amount"] * quantity
    return {
        "id": f"li_{number}",
        "object": "item",
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": price["currency"],
        "description": store.get("product", price["product"])["name"],
        "discounts": [],
        "price": price,
        "quantity": quantity,
    }


def _apply(store: Store, session: Payload, discount: Payload) -> None:
    code = discount.get("promotion_code")
    coupon_id = store.get("promotion_code", code)["promotion"]["coupon"] if code else discount["coupon"]
    coupon = store.get("coupon", coupon_id)
    off = amount_off(coupon, session["amount_subtotal"])
    session["discounts"] = [{"coupon": coupon_id, "promotion_code": code}]
    session["amount_total"] = session["amount_subtotal"] - off
    session["total_details"] = {**session["total_details"], "amount_discount": off}


def _take_payment(store: Store, session: Payload, method: str, details: Payload) -> None:
    if session["amount_total"] == 0:
        session["payment_status"] = "no_payment_required"
        return
    intent = payments.create_intent(
        store,
        {
            **store.hidden(session["id"], "payment_intent_data"),
            "amount": session["amount_total"],
            "currency": session["currency"],
            "customer": session["customer"],
        },
    )
    session["payment_intent"] = intent["id"]
    payments.confirm(store, intent, method=method, billing_details=details)
    if intent["status"] == "succeeded":
        session["payment_status"] = "paid"


def _require_open(session: Payload) -> None:
    if session["status"] != "open":
        raise Refusal(400, f"This Checkout Session is {session['status']}.", code="resource_already_exists")


def _processing_payment(store: Store, session: Payload) -> tuple[Payload, Payload | None]:
    """Return the payment intent that waits for its money, and the invoice that it pays, if any."""
    invoice = store.find("invoice", session["invoice"])
    intent = (
        invoices.payment_of(store, invoice)[1]
        if invoice
        else store.get("payment_intent", session["payment_intent"] or "")
    )
    if intent["status"] != "processing":
        raise Refusal(400, f"The payment is {intent['status']}.", code="payment_intent_unexpected_state")
    return intent, invoice


_PAYMENT_OF: dict[str, Callable[[Store, Payload, str, Payload], Any]] = {
    "payment": _take_payment,
    "subscription": subscription_checkout.subscribe,
}
"""What happens to the money when a session of each mode is completed."""

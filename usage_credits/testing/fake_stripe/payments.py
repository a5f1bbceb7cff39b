"""How a payment goes through the fake: payment intent, charge, balance transaction."""

from __future__ import annotations

import copy

from stripe.params import PaymentIntentCreateParams

from usage_credits.testing.fake_stripe import objects
from usage_credits.testing.fake_stripe.errors import Refusal, bad_parameter
from usage_credits.testing.fake_stripe.events import emit
from usage_credits.testing.fake_stripe.forms import boolean, integer
from usage_credits.testing.fake_stripe.store import Payload, Store

_BOUNCED = "The customer's bank account could not be debited."
_DECLINED = "Your card was declined."
_AUTHENTICATION = "authentication_required"


def declined(intent: Payload | None = None) -> Refusal:
    """Build the answer to a payment that the card refuses; it tells of the payment intent, where there is one."""
    if intent is None:
        return Refusal(402, _DECLINED, code="card_declined", kind="card_error")
    error = intent["last_payment_error"]
    return Refusal(
        402,
        error["message"],
        code=error["code"],
        kind=error["type"],
        decline_code=error.get("decline_code"),
        charge=intent["latest_charge"],
        payment_intent=copy.deepcopy(intent),
    )


def create_intent(store: Store, params: Payload) -> Payload:
    """Create a payment intent; with `confirm` it is paid at once: by the payment method given, or else by a card.

    `off_session` takes a payment method of the customer's: whoever could give another one is not there.
    """
    for name in params:
        if name not in PaymentIntentCreateParams.__annotations__:
            raise Refusal(400, f"Received unknown parameter: {name}", code="parameter_unknown", param=name)
    if integer(params["amount"]) < 1:
        raise Refusal(400, "This value must be greater than or equal to 1.", code="parameter_invalid_integer")
    confirms = boolean(params.get("confirm"))
    if boolean(params.get("off_session")):
        _check_off_session(store, params, confirms=confirms)
    intent = objects.payment_intent(store, params)
    emit(store, "payment_intent.created", intent)
    if confirms:
        method = store.find("payment_method", intent["payment_method"])
        confirm(store, intent, method=method["type"] if method else "card")
        if intent["last_payment_error"]:
            raise declined(intent)
    return intent


def _check_off_session(store: Store, params: Payload, *, confirms: bool) -> None:
    if not confirms:
        raise bad_parameter("off_session", "You cannot use off_session without confirm.")
    if not params.get("payment_method"):
        raise Refusal(
            400,
            "You cannot confirm this PaymentIntent because it's missing a payment method.",
            code="payment_intent_unexpected_state",
        )
    store.get("customer", params.get("customer") or "", param="customer")
    method = store.get("payment_method", params["payment_method"], param="payment_method")
    if method["customer"] != params["customer"]:
        message = "The provided PaymentMethod cannot be used: it belongs to another customer, or to none."
        raise Refusal(400, message, code="payment_method_unexpected_state", param="payment_method")


def confirm(
    store: Store, intent: Payload, *, method: str = "card", billing_details: Payload | None = None
) -> None:
    """Take the payment; a card pays or is declined at once, by any other method it stays in processing."""
    if intent["status"] == "succeeded":
        raise Refusal(
            400, "This PaymentIntent has already succeeded.", code="payment_intent_unexpected_state"
        )
    if store.find("payment_method", intent["payment_method"]) is None:
        made = objects.payment_method(store, intent["customer"], method, billing_details or {})
        intent["payment_method"] = made["id"]
    if method == "card":
        objects.charge(store, intent, "pending")
        if intent["customer"] in store.declining:
            fail(
                store,
                intent,
                code="card_declined",
                message=_DECLINED,
                decline_code=store.declining[intent["customer"]],
            )
        else:
            succeed(store, intent)
        return
    intent["status"] = "processing"
    emit(store, "charge.pending", objects.charge(store, intent, "pending"))
    emit(store, "payment_intent.processing", intent)


def succeed(store: Store, intent: Payload) -> None:
    """Let the money arrive."""
    charge = store.get("charge", intent["latest_charge"])
    charge.update(
        status="succeeded",
        paid=True,
        captured=True,
        amount_captured=intent["amount"],
        balance_transaction=objects.balance_transaction(store, charge)["id"],
        outcome={"network_status": "approved_by_network", "type": "authorized", "risk_level": "normal"},
    )
    intent.update(status="succeeded", amount_received=intent["amount"], last_payment_error=None)
    emit(store, "charge.succeeded", charge)
    emit(store, "payment_intent.succeeded", intent)


def fail(
    store: Store,
    intent: Payload,
    *,
    code: str = "payment_failed",
    message: str = _BOUNCED,
    decline_code: str | None = None,
) -> None:
    """Let the payment bounce."""
    if decline_code == _AUTHENTICATION:
        code = _AUTHENTICATION
    charge = store.get("charge", intent["latest_charge"])
    charge.update(status="failed", failure_code=code, failure_message=message)
    kind = "card_error" if decline_code else "api_error"
    declined_by = {"decline_code": decline_code} if decline_code else {}
    intent.update(
        status="requires_payment_method",
        payment_method=None,
        last_payment_error={"type": kind, "code": code, "message": message, **declined_by},
    )
    emit(store, "charge.failed", charge)
    emit(store, "payment_intent.payment_failed", intent)

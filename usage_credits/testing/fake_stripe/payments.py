"""How a payment goes through the fake: payment intent, charge, balance transaction."""

from __future__ import annotations

from usage_credits.testing.fake_stripe import objects
from usage_credits.testing.fake_stripe.errors import Refusal
from usage_credits.testing.fake_stripe.events import emit
from usage_credits.testing.fake_stripe.forms import boolean
from usage_credits.testing.fake_stripe.store import Payload, Store

_BOUNCED = "The customer's bank account could not be debited."
_DECLINED = "Your card was declined."


def declined() -> Refusal:
    """Build the answer to a payment that the card refuses."""
    return Refusal(402, _DECLINED, code="card_declined", kind="card_error")


def create_intent(store: Store, params: Payload) -> Payload:
    """Create a payment intent; with `confirm` it is paid at once by card."""
    intent = objects.payment_intent(store, params)
    emit(store, "payment_intent.created", intent)
    if boolean(params.get("confirm")):
        confirm(store, intent)
        if intent["last_payment_error"]:
            raise declined()
    return intent


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
            fail(store, intent, code="card_declined", message=_DECLINED)
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


def fail(store: Store, intent: Payload, *, code: str = "payment_failed", message: str = _BOUNCED) -> None:
    """Let the payment bounce."""
    charge = store.get("charge", intent["latest_charge"])
    charge.update(status="failed", failure_code=code, failure_message=message)
    kind = "card_error" if code == "card_declined" else "api_error"
    intent.update(
        status="requires_payment_method",
        payment_method=None,
        last_payment_error={"type": kind, "code": code, "message": message},
    )
    emit(store, "charge.failed", charge)
    emit(store, "payment_intent.payment_failed", intent)

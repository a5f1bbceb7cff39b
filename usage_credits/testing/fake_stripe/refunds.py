"""Refunds of the fake: made, still on their way, failed or taken back."""

from __future__ import annotations

from usage_credits.testing.fake_stripe.errors import Refusal, bad_parameter
from usage_credits.testing.fake_stripe.events import emit
from usage_credits.testing.fake_stripe.forms import integer
from usage_credits.testing.fake_stripe.store import Payload, Store


def refund(store: Store, params: Payload, *, status: str = "succeeded") -> Payload:
    """Give the money of a charge back, all that is left of it unless `amount` says less."""
    charge_id = params.get("charge")
    if not charge_id:
        charge_id = store.get("payment_intent", params.get("payment_intent", ""), param="payment_intent")[
            "latest_charge"
        ]
    charge = store.get("charge", charge_id, param="charge")
    left = charge["amount_captured"] - charge["amount_refunded"]
    amount = integer(params["amount"]) if params.get("amount") else left
    if not 0 < amount <= left:
        raise bad_parameter("amount", f"Refund amount ({amount}) is greater than unrefunded amount ({left}).")
    if any(_holds(dispute, charge) for dispute in store.all("dispute")):
        raise Refusal(400, f"Charge {charge['id']} has been charged back.", code="charge_disputed")
    made = store.add(
        "refund",
        {
            "amount": amount,
            "balance_transaction": None,
            "charge": charge["id"],
            "currency": charge["currency"],
            "metadata": params.get("metadata") or {},
            "payment_intent": charge["payment_intent"],
            "reason": params.get("reason"),
            "receipt_number": None,
            "status": status,
        },
    )
    _add(charge, amount)
    emit(store, "refund.created", made)
    emit(store, "charge.refunded", charge)
    return made


def settle(store: Store, made: Payload) -> Payload:
    """Let the money of a pending refund arrive."""
    _require(made, "pending")
    made["status"] = "succeeded"
    _announce(store, made)
    return made


def fail(store: Store, made: Payload, *, lowers: bool = True) -> Payload:
    """Let a refund bounce; `lowers` says whether the charge then counts as refunded by so much less."""
    _require(made, "pending", "succeeded")
    made.update(status="failed", failure_reason="expired_or_canceled_card")
    if lowers:
        _add(store.get("charge", made["charge"]), -made["amount"])
    emit(store, "refund.failed", made)
    _announce(store, made)
    return made


def cancel(store: Store, made: Payload) -> Payload:
    """Take back a refund that is still on its way."""
    _require(made, "pending", "requires_action")
    made["status"] = "canceled"
    _add(store.get("charge", made["charge"]), -made["amount"])
    _announce(store, made)
    return made


def _add(charge: Payload, amount: int) -> None:
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]


def _announce(store: Store, made: Payload) -> None:
    emit(store, "refund.updated", made)
    emit(store, "charge.refund.updated", made)


def _holds(dispute: Payload, charge: Payload) -> bool:
    return dispute["charge"] == charge["id"] and not dispute["is_charge_refundable"]


def _require(made: Payload, *statuses: str) -> None:
    if made["status"] not in statuses:
        raise Refusal(400, f"This refund is {made['status']}, not {' or '.join(statuses)}.")

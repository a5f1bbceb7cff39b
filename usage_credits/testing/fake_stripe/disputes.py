"""Disputes of the fake: a customer's bank takes a charge back, or only asks about it."""

from __future__ import annotations

from usage_credits.testing.fake_stripe import objects
from usage_credits.testing.fake_stripe.errors import Refusal, bad_parameter
from usage_credits.testing.fake_stripe.events import emit
from usage_credits.testing.fake_stripe.forms import boolean
from usage_credits.testing.fake_stripe.periods import DAY
from usage_credits.testing.fake_stripe.store import Payload, Store

_ANSWER_WITHIN = 7 * DAY
_OPEN = ("needs_response", "under_review", "warning_needs_response", "warning_under_review")


def open_dispute(
    store: Store,
    charge: Payload,
    amount: int | None = None,
    *,
    inquiry: bool = False,
    reason: str = "fraudulent",
) -> Payload:
    """Let the customer dispute a charge, or ask about it first; an inquiry moves no money."""
    if charge["status"] != "succeeded":
        raise Refusal(400, f"This charge is {charge['status']}.")
    disputed = charge["amount"] if amount is None else amount
    if not 0 < disputed <= charge["amount"]:
        raise bad_parameter("amount", f"A charge of {charge['amount']} cannot be disputed for {disputed}.")
    dispute = store.add(
        "dispute",
        {
            "amount": disputed,
            "balance_transaction": None,
            "balance_transactions": [],
            "charge": charge["id"],
            "currency": charge["currency"],
            "enhanced_eligibility_types": [],
            "evidence": {},
            "evidence_details": {
                "due_by": store.now() + _ANSWER_WITHIN,
                "enhanced_eligibility": {},
                "has_evidence": False,
                "past_due": False,
                "submission_count": 0,
            },
            "is_charge_refundable": inquiry,
            "network_reason_code": "10.4",
            "payment_intent": charge["payment_intent"],
            "payment_method_details": {"type": "card", "card": _card_details(inquiry=inquiry)},
            "reason": reason,
            "status": "warning_needs_response" if inquiry else "needs_response",
        },
    )
    charge["disputed"] = True
    emit(store, "charge.dispute.created", dispute)
    if not inquiry:
        _move_money(store, dispute, -disputed)
        emit(store, "charge.dispute.funds_withdrawn", dispute)
    return dispute


def answer(store: Store, dispute: Payload, params: Payload) -> Payload:
    """Hand in evidence, which the bank reviews unless `submit` is false."""
    _require_open(dispute)
    dispute["evidence"] = {**dispute["evidence"], **(params.get("evidence") or {})}
    dispute["metadata"] = {**dispute["metadata"], **(params.get("metadata") or {})}
    details = dispute["evidence_details"]
    details["has_evidence"] = bool(dispute["evidence"])
    if dispute["evidence"] and boolean(params.get("submit", True)):
        details["submission_count"] += 1
        dispute["status"] = "warning_under_review" if _is_inquiry(dispute) else "under_review"
    emit(store, "charge.dispute.updated", dispute)
    return dispute


def escalate(store: Store, dispute: Payload) -> Payload:
    """Let the bank turn an inquiry into a dispute: the money is taken."""
    if not _is_inquiry(dispute) or dispute["status"] not in _OPEN:
        raise Refusal(400, f"This dispute is {dispute['status']}, no open inquiry.")
    dispute.update(status="needs_response", is_charge_refundable=False)
    dispute["payment_method_details"]["card"]["case_type"] = "chargeback"
    emit(store, "charge.dispute.updated", dispute)
    _move_money(store, dispute, -dispute["amount"])
    emit(store, "charge.dispute.funds_withdrawn", dispute)
    return dispute


def decide(store: Store, dispute: Payload, *, won: bool) -> Payload:
    """Let the bank decide; an inquiry is only closed. Money that was taken comes back where the seller wins."""
    _require_open(dispute)
    if _is_inquiry(dispute):
        dispute["status"] = "warning_closed"
    else:
        dispute["status"] = "won" if won else "lost"
    emit(store, "charge.dispute.closed", dispute)
    if dispute["status"] == "won":
        _move_money(store, dispute, dispute["amount"])
        emit(store, "charge.dispute.funds_reinstated", dispute)
    return dispute


def _card_details(*, inquiry: bool) -> Payload:
    case = "inquiry" if inquiry else "chargeback"
    return {"brand": "visa", "case_type": case, "network_reason_code": "10.4"}


def _is_inquiry(dispute: Payload) -> bool:
    return str(dispute["status"]).startswith("warning_")


def _require_open(dispute: Payload) -> None:
    if dispute["status"] not in _OPEN:
        raise Refusal(400, f"This dispute is already {dispute['status']}.", code="dispute_already_closed")


def _move_money(store: Store, dispute: Payload, amount: int) -> None:
    moved = objects.balance_transaction(store, {**dispute, "amount": amount})
    moved.update(fee=0, net=amount, type="adjustment")
    dispute["balance_transactions"].append(dict(moved))

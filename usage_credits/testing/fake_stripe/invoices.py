"""What becomes of a drawn-up invoice: finalised, then paid, refused, voided or given up."""

from __future__ import annotations

import copy

from usage_credits.testing.fake_stripe import objects, payments, standing
from usage_credits.testing.fake_stripe.drafts import DRAFT_FOR, set_due
from usage_credits.testing.fake_stripe.errors import Refusal, bad_parameter
from usage_credits.testing.fake_stripe.events import emit
from usage_credits.testing.fake_stripe.forms import boolean
from usage_credits.testing.fake_stripe.store import Payload, Store


def finalize(store: Store, invoice: Payload) -> None:
    """Make a draft final; where nothing is due, it is paid at once."""
    _require(invoice, "draft")
    customer = store.get("customer", invoice["customer"])
    balance = customer["balance"]
    rest = invoice["total"] + balance
    # What a negative invoice gives back is kept as the customer's balance, a negative number, for later ones.
    customer["balance"] = min(0, rest)
    invoice.update(
        automatically_finalizes_at=None,
        effective_at=store.now(),
        ending_balance=customer["balance"],
        hosted_invoice_url=f"https://invoice.stripe.test/{invoice['id']}",
        number=f"{customer['id'][-8:].upper()}-{_numbered(store, customer['id']) + 1:04d}",
        starting_balance=balance,
        status="open",
    )
    invoice["status_transitions"]["finalized_at"] = store.now()
    set_due(invoice, max(0, rest))
    if invoice["amount_due"]:
        _request_payment(store, invoice)
    emit(store, "invoice.finalized", invoice)
    if balance != customer["balance"]:
        emit(store, "customer.updated", customer, before={**customer, "balance": balance})
    if not invoice["amount_due"]:
        _mark_paid(store, invoice)


def advance(store: Store, invoice: Payload) -> None:
    """Finalise a draft and collect it; what happens instead where collection is paused is up to the pause."""
    subscription = standing.of_invoice(store, invoice)
    pause = subscription["pause_collection"] if subscription else None
    if pause and pause["behavior"] == "keep_as_draft":
        invoice.update(auto_advance=False, automatically_finalizes_at=None)
        return
    finalize(store, invoice)
    if pause and invoice["status"] == "open":
        (void if pause["behavior"] == "void" else mark_uncollectible)(store, invoice)
    elif invoice["status"] == "open":
        collect(store, invoice)


def collect(
    store: Store, invoice: Payload, *, method: str = "card", billing_details: Payload | None = None
) -> None:
    """Try to take the money of an open invoice."""
    _require(invoice, "open")
    _payment, intent = payment_of(store, invoice)
    subscription = standing.of_invoice(store, invoice)
    intent["payment_method"] = payment_method_of(store, subscription) if subscription else None
    invoice.update(attempted=True, attempt_count=invoice["attempt_count"] + 1)
    if method == "card" and intent["payment_method"] is None and not billing_details:
        intent["last_payment_error"] = {"type": "invalid_request_error", "code": "missing"}
    else:
        payments.confirm(store, intent, method=method, billing_details=billing_details)
    if intent["status"] == "requires_payment_method":
        refuse(store, invoice)
    elif intent["status"] == "processing":
        # A subscription whose money is on its way counts as active.
        standing.after_success(store, invoice)
    else:
        settle(store, invoice)


def settle(store: Store, invoice: Payload) -> None:
    """Mark an invoice paid if its payment has succeeded."""
    payment, intent = payment_of(store, invoice)
    if intent["status"] != "succeeded" or invoice["status"] == "paid":
        return
    payment.update(status="paid", amount_paid=invoice["amount_due"])
    payment["status_transitions"]["paid_at"] = store.now()
    invoice.update(amount_paid=invoice["amount_due"], amount_remaining=0)
    _mark_paid(store, invoice, payment)


def refuse(store: Store, invoice: Payload) -> None:
    """Announce that an invoice could not be paid."""
    emit(store, "invoice.payment_failed", invoice)
    standing.after_failure(store, invoice)


def pay(store: Store, invoice: Payload, params: Payload) -> Payload:
    """Pay an invoice now, as the API does; raises the answer of Stripe where the card is declined.

    `paid_out_of_band` takes it for paid by other means.
    """
    if invoice["status"] == "draft":
        finalize(store, invoice)
        if invoice["status"] == "paid":
            return invoice
    if invoice["status"] == "paid":
        raise Refusal(400, "Invoice is already paid", code="invoice_already_paid")
    if boolean(params.get("paid_out_of_band")):
        _require(invoice, "open", "uncollectible")
        _cancel_payments(store, invoice)
        _mark_paid(store, invoice)
        return invoice
    collect(store, invoice)
    if payment_of(store, invoice)[1]["last_payment_error"]:
        raise payments.declined()
    return invoice


def modify(store: Store, invoice: Payload, params: Payload) -> Payload:
    """Change what may be changed of an invoice; a draft told to advance is finalised within the hour."""
    for name in params:
        if name not in ("auto_advance", "description", "metadata"):
            raise bad_parameter(name, f"The fake changes no {name} of an invoice.")
    before = copy.deepcopy(invoice)
    if "auto_advance" in params:
        advances = boolean(params["auto_advance"])
        waits = advances and invoice["status"] == "draft"
        invoice.update(
            auto_advance=advances, automatically_finalizes_at=store.now() + DRAFT_FOR if waits else None
        )
    invoice["description"] = params.get("description", invoice["description"])
    metadata = {**invoice["metadata"], **(params.get("metadata") or {})}
    invoice["metadata"] = {name: value for name, value in metadata.items() if value != ""}
    emit(store, "invoice.updated", invoice, before=before)
    return invoice


def delete(store: Store, invoice: Payload) -> Payload:
    """Forget a draft; what waited for it waits for the next."""
    _require(invoice, "draft")
    for item in store.all("invoiceitem"):
        if item["invoice"] == invoice["id"]:
            item["invoice"] = None
    store.remove("invoice", invoice["id"])
    emit(store, "invoice.deleted", invoice)
    return {"id": invoice["id"], "object": "invoice", "deleted": True}


def void(store: Store, invoice: Payload) -> Payload:
    """Declare an open or uncollectible invoice never made."""
    _require(invoice, "open", "uncollectible")
    _close(store, invoice, "void", "voided_at")
    emit(store, "invoice.voided", invoice)
    standing.after_void(store, invoice)
    return invoice


def mark_uncollectible(store: Store, invoice: Payload) -> Payload:
    """Give up on the money of an open invoice."""
    _require(invoice, "open")
    _close(store, invoice, "uncollectible", "marked_uncollectible_at")
    emit(store, "invoice.marked_uncollectible", invoice)
    standing.after_success(store, invoice)
    return invoice


def payment_method_of(store: Store, subscription: Payload) -> str | None:
    """Return the id of the payment method that pays a subscription's invoices, or None."""
    customer = store.get("customer", subscription["customer"])
    settings = customer.get("invoice_settings") or {}
    found: str | None = subscription["default_payment_method"] or settings.get("default_payment_method")
    return found


def _close(store: Store, invoice: Payload, status: str, moment: str) -> None:
    invoice.update(status=status, auto_advance=False)
    invoice["status_transitions"][moment] = store.now()
    _cancel_payments(store, invoice)


def _cancel_payments(store: Store, invoice: Payload) -> None:
    for payment in store.hidden(invoice["id"], "payments")["data"]:
        payment["status"] = "canceled"
        payment["status_transitions"]["canceled_at"] = store.now()
        store.get("payment_intent", payment["payment"]["payment_intent"])["status"] = "canceled"


def _mark_paid(store: Store, invoice: Payload, payment: Payload | None = None) -> None:
    invoice.update(status="paid", attempted=True, auto_advance=False)
    invoice["status_transitions"]["paid_at"] = store.now()
    emit(store, "invoice.paid", invoice)
    emit(store, "invoice.payment_succeeded", invoice)
    if payment is not None:
        emit(store, "invoice_payment.paid", payment)
    standing.after_success(store, invoice)


def _request_payment(store: Store, invoice: Payload) -> None:
    intent = objects.payment_intent(
        store,
        {
            "amount": invoice["amount_due"],
            "currency": invoice["currency"],
            "customer": invoice["customer"],
            "description": _DESCRIPTIONS[invoice["billing_reason"]],
            "setup_future_usage": "off_session",
        },
    )
    payment = store.add(
        "invoice_payment",
        {
            "amount_paid": None,
            "amount_requested": invoice["amount_due"],
            "currency": invoice["currency"],
            "invoice": invoice["id"],
            "is_default": True,
            "payment": {"type": "payment_intent", "payment_intent": intent["id"]},
            "status": "open",
            "status_transitions": {"canceled_at": None, "paid_at": None},
        },
    )
    store.hidden(invoice["id"], "payments")["data"].append(payment)
    emit(store, "payment_intent.created", intent)


def payment_of(store: Store, invoice: Payload) -> tuple[Payload, Payload]:
    """Return the payment of an invoice and its payment intent."""
    (payment,) = store.hidden(invoice["id"], "payments")["data"]
    return payment, store.get("payment_intent", payment["payment"]["payment_intent"])


def _numbered(store: Store, customer_id: str) -> int:
    return sum(one["customer"] == customer_id and one["number"] is not None for one in store.all("invoice"))


def _require(invoice: Payload, *statuses: str) -> None:
    if invoice["status"] not in statuses:
        message = f"This invoice is {invoice['status']}, not {' or '.join(statuses)}."
        raise Refusal(400, message, code="invoice_not_editable")


_DESCRIPTIONS = {
    "subscription_create": "Subscription creation",
    "subscription_cycle": "Subscription update",
    "subscription_update": "Subscription update",
}

"""Draw up the invoices of subscriptions."""

from __future__ import annotations

import copy

from usage_credits.testing.fake_stripe import objects
from usage_credits.testing.fake_stripe.discounts import take_off
from usage_credits.testing.fake_stripe.invoice_lines import item_line, listed, waiting_items
from usage_credits.testing.fake_stripe.store import Payload, Store

DRAFT_FOR = 60 * 60
"""How long a renewal's invoice stays a draft, in seconds."""


def draft(
    store: Store,
    subscription: Payload,
    reason: str,
    lines: list[Payload],
    *,
    period: tuple[int, int] | None = None,
) -> Payload:
    """Draw up an invoice for lines and for what waits for one; the caller announces it.

    `period` is the one that has ended, now when left out.
    """
    waiting = waiting_items(store, subscription["id"])
    invoice_id = store.new_id("invoice")
    lines = [*(item_line(store, subscription, item) for item in waiting), *lines]
    for item in waiting:
        item["invoice"] = invoice_id
    subtotal = sum(line["amount"] for line in lines)
    discounts = take_off(store, subscription, subtotal)
    total = subtotal - sum(discount["amount"] for discount in discounts)
    customer = store.get("customer", subscription["customer"])
    start, end = period or (store.now(), store.now())
    invoice = store.add(
        "invoice",
        {
            **copy.deepcopy(_PLAIN),
            "id": invoice_id,
            "automatically_finalizes_at": store.now(),
            "billing_reason": reason,
            "collection_method": subscription["collection_method"],
            "currency": subscription["currency"],
            "customer": customer["id"],
            "customer_email": customer.get("email"),
            "customer_name": customer.get("name"),
            "discounts": [discount["discount"] for discount in discounts],
            "lines": listed(invoice_id, lines),
            "parent": _parent(subscription),
            "period_end": end,
            "period_start": start,
            "subtotal": subtotal,
            "subtotal_excluding_tax": subtotal,
            "total": total,
            "total_discount_amounts": discounts,
            "total_excluding_tax": total,
        },
    )
    set_due(invoice, max(0, invoice["total"]))
    store.hide(invoice_id, "payments", objects.listing("/v1/invoice_payments", []))
    subscription["latest_invoice"] = invoice_id
    return invoice


def set_due(invoice: Payload, amount: int) -> None:
    """Set what is still to pay."""
    invoice.update(amount_due=amount, amount_remaining=amount)


def _parent(subscription: Payload) -> Payload:
    return {
        "type": "subscription_details",
        "quote_details": None,
        "subscription_details": {
            "metadata": dict(subscription["metadata"]),
            "subscription": subscription["id"],
        },
    }


_PLAIN: Payload = {
    "account_country": "US",
    "account_name": "Fake Stripe",
    "account_tax_ids": None,
    "amount_overpaid": 0,
    "amount_paid": 0,
    "amount_shipping": 0,
    "application": None,
    "attempt_count": 0,
    "attempted": False,
    "auto_advance": True,
    "automatic_tax": {
        "disabled_reason": None,
        "enabled": False,
        "liability": None,
        "provider": None,
        "status": None,
    },
    "custom_fields": None,
    "customer_address": None,
    "customer_phone": None,
    "customer_shipping": None,
    "customer_tax_exempt": "none",
    "customer_tax_ids": [],
    "default_payment_method": None,
    "default_source": None,
    "default_tax_rates": [],
    "description": None,
    "due_date": None,
    "effective_at": None,
    "ending_balance": None,
    "footer": None,
    "from_invoice": None,
    "hosted_invoice_url": None,
    "invoice_pdf": None,
    "issuer": {"type": "self"},
    "last_finalization_error": None,
    "latest_revision": None,
    # Nothing is tried again but by hand.
    "next_payment_attempt": None,
    "number": None,
    "on_behalf_of": None,
    "payment_settings": {
        "default_mandate": None,
        "payment_method_options": None,
        "payment_method_types": None,
    },
    "post_payment_credit_notes_amount": 0,
    "pre_payment_credit_notes_amount": 0,
    "receipt_number": None,
    "rendering": None,
    "shipping_cost": None,
    "shipping_details": None,
    "starting_balance": 0,
    "statement_descriptor": None,
    "status": "draft",
    "status_transitions": {
        "finalized_at": None,
        "marked_uncollectible_at": None,
        "paid_at": None,
        "voided_at": None,
    },
    "test_clock": None,
    "total_pretax_credit_amounts": [],
    "total_taxes": [],
    "webhooks_delivered_at": None,
}

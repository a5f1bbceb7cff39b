"""The lines of an invoice, and the items that wait for one: a period's price, prorations of a change."""

from __future__ import annotations

from datetime import UTC, datetime

from usage_credits.testing.fake_stripe import objects
from usage_credits.testing.fake_stripe.events import emit
from usage_credits.testing.fake_stripe.pages import money
from usage_credits.testing.fake_stripe.store import Payload, Store


def period_line(store: Store, subscription: Payload, item: Payload) -> Payload:
    """Build the line that pays an item's current period; a trial costs nothing."""
    price, quantity = item["price"], item["quantity"]
    name = store.get("product", price["product"])["name"]
    cost = money(price["unit_amount"], price["currency"])
    on_trial = subscription["status"] == "trialing"
    return _line(
        store,
        subscription,
        price=price,
        quantity=quantity,
        amount=0 if on_trial else price["unit_amount"] * quantity,
        description=f"Trial period for {name}"
        if on_trial
        else f"{quantity} × {name} (at {cost} / {price['recurring']['interval']})",
        period={"start": item["current_period_start"], "end": item["current_period_end"]},
        parent=_parent(subscription["id"], item["id"], invoice_item=None, proration=False),
    )


def item_line(store: Store, subscription: Payload, item: Payload) -> Payload:
    """Build the line of an item that waited for the next invoice."""
    details = item["parent"]["subscription_details"]
    return _line(
        store,
        subscription,
        price=store.get("price", item["pricing"]["price_details"]["price"]),
        quantity=item["quantity"],
        amount=item["amount"],
        description=item["description"],
        period=item["period"],
        parent=_parent(
            subscription["id"],
            details["subscription_item"],
            invoice_item=item["id"],
            proration=item["proration"],
        ),
    )


def waiting_items(store: Store, subscription_id: str) -> list[Payload]:
    """Return the subscription's items that are on no invoice yet."""
    return [
        item
        for item in store.all("invoiceitem")
        if item["invoice"] is None
        and item["parent"]["subscription_details"]["subscription"] == subscription_id
    ]


def prorate(store: Store, subscription: Payload, item: Payload, *, credit: bool) -> Payload:
    """Let what is left of the item's period wait for the next invoice: given back, or charged."""
    now, start, end = store.now(), item["current_period_start"], item["current_period_end"]
    price, quantity = item["price"], item["quantity"]
    left = round(price["unit_amount"] * quantity * (end - now) / (end - start))
    name = store.get("product", price["product"])["name"]
    described = name if quantity == 1 else f"{quantity} × {name}"
    day = datetime.fromtimestamp(now, UTC).strftime("%d %b %Y")
    return add_item(
        store,
        subscription,
        price=price,
        quantity=quantity,
        amount=-left if credit else left,
        description=f"{'Unused' if credit else 'Remaining'} time on {described} after {day}",
        period={"start": now, "end": end},
        subscription_item=item["id"],
    )


def add_item(
    store: Store,
    subscription: Payload,
    *,
    price: Payload,
    quantity: int,
    amount: int,
    description: str,
    period: Payload,
    subscription_item: str | None,
) -> Payload:
    """Create an item that waits for the subscription's next invoice; one of a subscription item is a proration."""
    item = store.add(
        "invoiceitem",
        {
            "amount": amount,
            "currency": price["currency"],
            "customer": subscription["customer"],
            "date": store.now(),
            "description": description,
            "discountable": subscription_item is None,
            "discounts": [],
            "invoice": None,
            "parent": {
                "type": "subscription_details",
                "subscription_details": {
                    "subscription": subscription["id"],
                    "subscription_item": subscription_item,
                },
            },
            "period": period,
            "pricing": _pricing(price),
            "proration": subscription_item is not None,
            "quantity": quantity,
            "tax_rates": [],
            "test_clock": None,
        },
    )
    del item["created"]
    emit(store, "invoiceitem.created", item)
    return item


def listed(invoice_id: str, lines: list[Payload]) -> Payload:
    """Put lines on an invoice."""
    for line in lines:
        line["invoice"] = invoice_id
    return {**objects.listing(f"/v1/invoices/{invoice_id}/lines", lines), "total_count": len(lines)}


def _line(
    store: Store,
    subscription: Payload,
    *,
    price: Payload,
    quantity: int,
    amount: int,
    description: str,
    period: Payload,
    parent: Payload,
) -> Payload:
    return {
        "id": store.new_id("line_item"),
        "object": "line_item",
        "amount": amount,
        "currency": price["currency"],
        "description": description,
        "discount_amounts": [],
        "discountable": True,
        "discounts": [],
        "invoice": None,
        "livemode": False,
        "metadata": dict(subscription["metadata"]),
        "parent": parent,
        "period": period,
        "pretax_credit_amounts": [],
        "pricing": _pricing(price),
        "quantity": quantity,
        "subscription": subscription["id"],
        "subtotal": amount,
        "taxes": [],
    }


def _pricing(price: Payload) -> Payload:
    return {
        "type": "price_details",
        "price_details": {"price": price["id"], "product": price["product"]},
        "unit_amount_decimal": price["unit_amount_decimal"],
    }


def _parent(subscription: str, item: str | None, *, invoice_item: str | None, proration: bool) -> Payload:
    details = {
        "invoice_item": invoice_item,
        "proration": proration,
        "proration_details": {"credited_items": None} if proration else None,
        "subscription": subscription,
    }
    if item is None:
        return {
            "type": "invoice_item_details",
            "invoice_item_details": details,
            "subscription_item_details": None,
        }
    return {
        "type": "subscription_item_details",
        "invoice_item_details": None,
        "subscription_item_details": {**details, "subscription_item": item},
    }

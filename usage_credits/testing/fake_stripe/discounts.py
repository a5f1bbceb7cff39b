"""What coupons take off: of a session, and of the invoices of a subscription that was bought with one."""

from __future__ import annotations

from dateutil.relativedelta import relativedelta

from usage_credits.testing.fake_stripe.periods import later
from usage_credits.testing.fake_stripe.store import Payload, Store


def amount_off(coupon: Payload, amount: int) -> int:
    """Return what a coupon takes off an amount, both in minor units."""
    off: int = coupon["amount_off"] or round(amount * coupon["percent_off"] / 100)
    return max(0, min(off, amount))


def keep(store: Store, subscription: Payload, coupon: Payload) -> None:
    """Let a coupon count for a subscription's invoices, as long as it says."""
    repeats = coupon["duration"] == "repeating"
    end = later(store.now(), relativedelta(months=coupon["duration_in_months"])) if repeats else None
    discount = store.add(
        "discount",
        {
            "checkout_session": None,
            "customer": subscription["customer"],
            "end": end,
            "invoice": None,
            "invoice_item": None,
            "promotion_code": None,
            "source": {"type": "coupon", "coupon": coupon["id"]},
            "start": store.now(),
            "subscription": subscription["id"],
            "subscription_item": None,
        },
    )
    subscription["discounts"] = [discount["id"]]


def take_off(store: Store, subscription: Payload, amount: int) -> list[Payload]:
    """Return the discounts of an invoice over an amount; a coupon that counts once is used up by it."""
    if amount <= 0:
        return []
    taken = []
    for discount in [store.get("discount", discount_id) for discount_id in subscription["discounts"]]:
        if discount["end"] is None or discount["end"] > store.now():
            coupon = store.get("coupon", discount["source"]["coupon"])
            taken.append({"amount": amount_off(coupon, amount), "discount": discount["id"]})
            if coupon["duration"] == "once":
                subscription["discounts"] = []
    return taken

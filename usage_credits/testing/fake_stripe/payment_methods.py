"""Payment methods that a seller creates and attaches; those of a checkout come with its payment."""

from __future__ import annotations

from usage_credits.testing.fake_stripe import objects
from usage_credits.testing.fake_stripe.events import emit
from usage_credits.testing.fake_stripe.store import Payload, Store


def create(store: Store, params: Payload) -> Payload:
    """Create a payment method that belongs to no customer yet."""
    return objects.payment_method(store, None, params["type"], params.get("billing_details") or {})


def attach(store: Store, method: Payload, params: Payload) -> Payload:
    """Give a payment method to a customer."""
    method["customer"] = store.get("customer", params["customer"], param="customer")["id"]
    emit(store, "payment_method.attached", method)
    return method


def detach(store: Store, method: Payload) -> Payload:
    """Take a payment method from its customer, and from what it was the default of."""
    customer = store.find("customer", method["customer"])
    if customer and customer["invoice_settings"]["default_payment_method"] == method["id"]:
        customer["invoice_settings"]["default_payment_method"] = None
    for subscription in store.all("subscription"):
        if subscription["default_payment_method"] == method["id"]:
            subscription["default_payment_method"] = None
    before = dict(method)
    method["customer"] = None
    emit(store, "payment_method.detached", method, before=before)
    return method

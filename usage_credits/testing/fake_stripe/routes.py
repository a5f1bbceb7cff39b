"""What the fake answers: paths and methods of Stripe's API, mapped to what happens to the objects."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

from usage_credits.testing.fake_stripe import (
    changes,
    checkout,
    disputes,
    invoices,
    objects,
    payment_methods,
    payments,
    portal,
    refunds,
    shapes,
    subscriptions,
)
from usage_credits.testing.fake_stripe.errors import Refusal, bad_parameter, missing
from usage_credits.testing.fake_stripe.events import emit
from usage_credits.testing.fake_stripe.listings import page
from usage_credits.testing.fake_stripe.store import Payload, Store

COLLECTIONS = {
    "accounts": "account",
    "balance_transactions": "balance_transaction",
    "billing_portal/sessions": "billing_portal.session",
    "charges": "charge",
    "checkout/sessions": "checkout.session",
    "coupons": "coupon",
    "customers": "customer",
    "disputes": "dispute",
    "events": "event",
    "invoice_payments": "invoice_payment",
    "invoiceitems": "invoiceitem",
    "invoices": "invoice",
    "payment_intents": "payment_intent",
    "payment_methods": "payment_method",
    "plans": "plan",
    "prices": "price",
    "products": "product",
    "promotion_codes": "promotion_code",
    "refunds": "refund",
    "subscription_items": "subscription_item",
    "subscriptions": "subscription",
    "webhook_endpoints": "webhook_endpoint",
}

ANNOUNCED = frozenset({"coupon", "customer", "price", "product", "promotion_code"})
"""Kinds whose creation and change by the API are events of their own."""

Create = Callable[[Store, Payload, str], Payload]

_CREATE: dict[str, Create] = {
    "billing_portal.session": lambda store, params, base_url: portal.create_session(
        store, params, base_url=base_url
    ),
    "checkout.session": lambda store, params, base_url: checkout.create_session(
        store, params, base_url=base_url
    ),
    "coupon": lambda store, params, _: objects.coupon(store, params),
    "customer": lambda store, params, _: objects.customer(store, params),
    "payment_method": lambda store, params, _: payment_methods.create(store, params),
    "payment_intent": lambda store, params, _: payments.create_intent(store, params),
    "price": lambda store, params, _: objects.price(store, params),
    "product": lambda store, params, _: objects.product(store, params),
    "promotion_code": lambda store, params, _: objects.promotion_code(store, params),
    "refund": lambda store, params, _: refunds.refund(store, params),
    "subscription": lambda store, params, _: subscriptions.create(store, params),
    "webhook_endpoint": lambda store, params, _: objects.webhook_endpoint(store, params),
}

Verb = Callable[[Store, Payload, Payload], Payload]

_VERBS: dict[tuple[str, str, str], Verb] = {
    ("get", "charge", "refunds"): lambda store, one, _: page(
        store, "refund", {"charge": one["id"]}, "refunds"
    ),
    ("get", "checkout.session", "line_items"): lambda store, one, _: store.hidden(one["id"], "line_items"),
    ("post", "checkout.session", "expire"): lambda store, one, _: checkout.expire(store, one),
    ("get", "invoice", "lines"): lambda store, one, _: one["lines"],
    ("post", "invoice", "finalize"): lambda store, one, _: _finalized(store, one),
    ("post", "invoice", "mark_uncollectible"): lambda store, one, _: invoices.mark_uncollectible(store, one),
    ("post", "invoice", "pay"): invoices.pay,
    ("post", "invoice", "void"): lambda store, one, _: invoices.void(store, one),
    ("post", "payment_intent", "confirm"): lambda store, one, _: _confirmed(store, one),
    ("post", "payment_method", "attach"): payment_methods.attach,
    ("post", "payment_method", "detach"): lambda store, one, _: payment_methods.detach(store, one),
    ("get", "product", "features"): lambda store, one, _: objects.listing(
        f"/v1/products/{one['id']}/features", []
    ),
    ("post", "dispute", "close"): lambda store, one, _: disputes.decide(store, one, won=False),
    ("post", "refund", "cancel"): lambda store, one, _: refunds.cancel(store, one),
    ("post", "subscription", "resume"): changes.resume,
}
"""Paths below one object: method, kind, last part of the path."""

_PATH = re.compile(
    r"/v1/(?P<collection>" + "|".join(COLLECTIONS) + r")(?:/(?P<id>[^/]+)(?:/(?P<verb>[a-z_]+))?)?/?"
)


def answer(store: Store, method: str, path: str, params: Payload, *, base_url: str) -> Payload:
    """Carry out one request and return the JSON of its answer; raises Refusal for everything else."""
    params = dict(params)
    expand: list[str] = params.pop("expand", None) or []
    if (method, path) == ("get", "/v1/account"):
        return store.expanded(next(store.all("account")), expand)
    match = _PATH.fullmatch(path)
    if match is None:
        raise Refusal(404, f"Unrecognized request URL ({method.upper()}: {path}).")
    kind, object_id, verb = COLLECTIONS[match["collection"]], match["id"], match["verb"]
    if verb:
        return store.expanded(_verb(store, method, kind, object_id, verb, params), expand)
    if object_id:
        return store.expanded(_ONE[method](store, kind, object_id, params), expand)
    if method == "post":
        return store.expanded(_created(store, kind, params, base_url), expand)
    return store.expanded(page(store, kind, params, match["collection"]), expand)


def _verb(store: Store, method: str, kind: str, object_id: str, verb: str, params: Payload) -> Payload:
    known = _VERBS.get((method, kind, verb))
    if known is None:
        raise Refusal(404, f"Unrecognized request URL ({method.upper()}: {kind} {verb}).")
    return known(store, store.get(kind, object_id), params)


def _created(store: Store, kind: str, params: Payload, base_url: str) -> Payload:
    create = _CREATE.get(kind)
    if create is None:
        raise Refusal(404, f"A {kind} cannot be created through the API.")
    _check_metadata(params)
    _check_metadata(params.get("payment_intent_data") or {})
    _check_metadata(params.get("subscription_data") or {})
    try:
        made = create(store, params, base_url)
    except KeyError as error:
        name = str(error.args[0])
        raise Refusal(
            400, f"Missing required param: {name}.", code="parameter_missing", param=name
        ) from error
    if kind in ANNOUNCED:
        emit(store, f"{kind}.created", made)
    return made


def _retrieved(store: Store, kind: str, object_id: str, params: Payload) -> Payload:
    if kind == "plan":
        return shapes.plan(store.get("price", object_id))
    found = store.get(kind, object_id)
    if kind == "webhook_endpoint":
        # The secret is told once, when the endpoint is created.
        return {name: value for name, value in found.items() if name != "secret"}
    return found


def _modified(store: Store, kind: str, object_id: str, params: Payload) -> Payload:
    _check_metadata(params)
    changed = store.get(kind, object_id)
    modify = _MODIFY.get(kind)
    if modify:
        return modify(store, changed, params)
    before = copy.deepcopy(changed)
    metadata = {**changed["metadata"], **(params.pop("metadata", None) or {})}
    for name, value in params.items():
        both = isinstance(value, dict) and isinstance(changed.get(name), dict)
        changed[name] = {**changed[name], **value} if both else value
    changed["metadata"] = {name: value for name, value in metadata.items() if value != ""}
    if kind in ANNOUNCED:
        emit(store, f"{kind}.updated", changed, before=before)
    return changed


_MODIFY: dict[str, Verb] = {
    "dispute": disputes.answer,
    "invoice": invoices.modify,
    "subscription": changes.modify,
}
"""Kinds of which a change leads to more."""


def _deleted(store: Store, kind: str, object_id: str, params: Payload) -> Payload:
    gone = store.get(kind, object_id)
    if kind == "subscription":
        return changes.cancel(store, gone, params)
    if kind == "invoice":
        return invoices.delete(store, gone)
    if kind == "customer":
        if gone.get("deleted"):
            raise missing(kind, object_id)
        changes.end_all(store, object_id)
    if kind in ANNOUNCED:
        emit(store, f"{kind}.deleted", gone)
    if kind == "customer":
        # A deleted customer can still be retrieved, reduced to this.
        gone_id = gone["id"]
        gone.clear()
        gone.update(id=gone_id, object="customer", deleted=True)
        return gone
    store.remove(kind, object_id)
    return {"id": object_id, "object": kind, "deleted": True}


_ONE: dict[str, Callable[[Store, str, str, Payload], Payload]] = {
    "get": _retrieved,
    "post": _modified,
    "delete": _deleted,
}


def _confirmed(store: Store, intent: Payload) -> Payload:
    paying = [one for one in store.all("invoice_payment") if one["payment"]["payment_intent"] == intent["id"]]
    if paying:
        invoices.pay(store, store.get("invoice", paying[0]["invoice"]), {})
    else:
        payments.confirm(store, intent)
    return intent


def _finalized(store: Store, invoice: Payload) -> Payload:
    invoices.finalize(store, invoice)
    return invoice


def _check_metadata(params: Payload) -> None:
    metadata: Any = params.get("metadata") or {}
    if not isinstance(metadata, dict) or len(metadata) > 50:
        raise bad_parameter("metadata", "Metadata can have up to 50 keys.")
    for name, value in metadata.items():
        if not isinstance(value, str) or len(name) > 40 or len(value) > 500:
            raise bad_parameter(
                f"metadata[{name}]", "Metadata keys have up to 40 characters, values are text of up to 500."
            )

"""Lists of the API: which objects a filter finds, and their pages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import stripe

from usage_credits.testing.fake_stripe import objects
from usage_credits.testing.fake_stripe.errors import Refusal, bad_parameter, missing
from usage_credits.testing.fake_stripe.forms import boolean, integer
from usage_credits.testing.fake_stripe.store import Payload, Store

_NAMES = {"invoiceitem": "InvoiceItem"}
_PAGING = ("ending_before", "limit", "starting_after")


def page(store: Store, kind: str, params: Payload, collection: str) -> Payload:
    """Return a page of the objects of a kind that the parameters ask for, latest first."""
    _check(kind, params)
    filters = {**params}
    if kind == "subscription":
        filters.setdefault("status", "current")
    found = [one for one in store.all(kind) if all(_matches(one, *named) for named in filters.items())]
    found.reverse()
    ids = [one["id"] for one in found]
    limit = integer(params.get("limit")) or 10
    if not 1 <= limit <= 100:
        raise bad_parameter("limit", "Limits are 1 to 100.")
    if params.get("ending_before"):
        until = _position(kind, ids, params["ending_before"], "ending_before")
        start = max(0, until - limit)
        return objects.listing(f"/v1/{collection}", found[start:until], has_more=start > 0)
    start = 0
    if params.get("starting_after"):
        start = _position(kind, ids, params["starting_after"], "starting_after") + 1
    rest = found[start:]
    return objects.listing(f"/v1/{collection}", rest[:limit], has_more=len(rest) > limit)


def _check(kind: str, params: Payload) -> None:
    """Refuse filters that Stripe does not know; a name in its library tells them."""
    name = _NAMES.get(kind) or kind.title().replace("_", "")
    known = getattr(stripe.params, f"{name}ListParams", None)
    for param in params:
        if known is not None and param not in known.__annotations__:
            raise Refusal(400, f"Received unknown parameter: {param}", code="parameter_unknown", param=param)


def _position(kind: str, ids: list[str], object_id: str, param: str) -> int:
    if object_id not in ids:
        raise missing(kind, object_id, param)
    return ids.index(object_id)


def _matches(one: Payload, name: str, value: Any) -> bool:
    if name in _PAGING:
        return True
    special = _FILTERS.get((one["object"], name)) or _FILTERS.get(("", name))
    return special(one, value) if special else one.get(name) == value


def _created(one: Payload, value: Any) -> bool:
    moment = one["created"] if "created" in one else one["date"]
    if not isinstance(value, dict):
        return bool(moment == integer(value))
    return all(_COMPARISONS[name](moment, integer(bound)) for name, bound in value.items())


def _status(one: Payload, value: str) -> bool:
    if value == "all":
        return True
    if value == "current":
        return one["status"] not in ("canceled", "incomplete_expired")
    if value == "ended":
        return one["status"] in ("canceled", "incomplete_expired")
    return bool(one["status"] == value)


def _subscription_of(one: Payload) -> Any:
    return ((one["parent"] or {}).get("subscription_details") or {}).get("subscription")


def _pays_by(one: Payload, value: Payload) -> bool:
    return all(one["payment"].get(name) == wanted for name, wanted in value.items())


_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "gt": lambda moment, bound: moment > bound,
    "gte": lambda moment, bound: moment >= bound,
    "lt": lambda moment, bound: moment < bound,
    "lte": lambda moment, bound: moment <= bound,
}

_FILTERS: dict[tuple[str, str], Callable[[Payload, Any], bool]] = {
    ("", "active"): lambda one, value: one.get("active") == boolean(value),
    ("", "created"): _created,
    ("event", "types"): lambda one, value: one["type"] in value,
    ("invoice", "subscription"): lambda one, value: _subscription_of(one) == value,
    ("invoice_payment", "payment"): _pays_by,
    ("invoiceitem", "pending"): lambda one, value: (one["invoice"] is None) == boolean(value),
    ("price", "lookup_keys"): lambda one, value: one["lookup_key"] in value,
    ("subscription", "price"): lambda one, value: any(
        item["price"]["id"] == value for item in one["items"]["data"]
    ),
    ("subscription", "status"): _status,
}
"""What a filter means that is no field of the same name, by kind of object; "" for every kind."""

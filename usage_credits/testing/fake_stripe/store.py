"""What the fake remembers: objects by kind and id, as the JSON that Stripe would send."""

from __future__ import annotations

import copy
import hashlib
import string
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from usage_credits.testing.fake_stripe.errors import missing

Payload = dict[str, Any]

_DIGITS = string.digits + string.ascii_letters

PREFIXES = {
    "account": "acct_1",
    "balance_transaction": "txn_3",
    "billing_portal.session": "bps_1",
    "charge": "ch_3",
    "checkout.session": "cs_test_a1",
    "coupon": "",
    "customer": "cus_",
    "discount": "di_1",
    "dispute": "du_1",
    "event": "evt_1",
    "invoice": "in_1",
    "invoice_payment": "inpay_1",
    "invoiceitem": "ii_1",
    "line_item": "il_1",
    "payment_intent": "pi_3",
    "payment_method": "pm_1",
    "price": "price_1",
    "product": "prod_",
    "promotion_code": "promo_1",
    "refund": "re_3",
    "subscription": "sub_1",
    "subscription_item": "si_",
    "webhook_endpoint": "we_1",
}

EXPANDABLE = {
    "account": "account",
    "balance_transaction": "balance_transaction",
    "charge": "charge",
    "customer": "customer",
    "default_payment_method": "payment_method",
    "discounts": "discount",
    "invoice": "invoice",
    "latest_charge": "charge",
    "latest_invoice": "invoice",
    "payment_intent": "payment_intent",
    "payment_method": "payment_method",
    "price": "price",
    "product": "product",
    "subscription": "subscription",
}
"""Which kind of object a field refers to, or a list of ids, wherever the field stands."""


def id_of(one: Any) -> str:
    """Return the id of what is given as an id, or as anything that has its "id"."""
    return one if isinstance(one, str) else str(one["id"])


class Store:
    """Objects in the order they were made. `clock` gives seconds since the epoch."""

    def __init__(self, clock: Callable[[], float], seed: str) -> None:
        self._clock = clock
        self._seed = seed
        self._made = 0
        self._moment: int | None = None
        self.declining: dict[str, str] = {}
        """The customers whose cards are declined, and why."""
        self._tables: dict[str, dict[str, Payload]] = {}
        self._hidden: dict[tuple[str, str], Payload] = {}

    def now(self) -> int:
        return int(self._clock()) if self._moment is None else self._moment

    @contextmanager
    def at(self, moment: int) -> Iterator[None]:
        """Let what happens now have happened at `moment`."""
        before, self._moment = self._moment, moment
        try:
            yield
        finally:
            self._moment = before

    def new_id(self, kind: str, *, length: int = 24) -> str:
        """Return the next id: the same in every run of the same steps, and never equal but for its case."""
        self._made += 1
        number = int.from_bytes(hashlib.sha512(f"{self._seed}:{kind}:{self._made}".encode()).digest())
        letters = []
        for _position in range(length):
            number, digit = divmod(number, len(_DIGITS))
            letters.append(_DIGITS[digit])
        return PREFIXES[kind] + "".join(letters)

    def add(self, kind: str, fields: Payload) -> Payload:
        """Keep a new object of `kind` and return it; `fields` may bring an id of its own."""
        payload: Payload = {
            "id": fields.get("id") or self.new_id(kind),
            "object": kind,
            "created": self.now(),
            "livemode": False,
            "metadata": {},
            **fields,
        }
        self._tables.setdefault(kind, {})[payload["id"]] = payload
        return payload

    def get(self, kind: str, object_id: str, *, param: str = "id") -> Payload:
        """Return the object itself, for changing it; raise the 404 of Stripe if there is none."""
        try:
            return self._tables[kind][object_id]
        except KeyError:
            raise missing(kind.replace(".", " "), object_id, param) from None

    def find(self, kind: str, object_id: str | None) -> Payload | None:
        """Return the object itself, or None."""
        return self._tables.get(kind, {}).get(object_id or "")

    def all(self, kind: str) -> Iterator[Payload]:
        yield from self._tables.get(kind, {}).values()

    def remove(self, kind: str, object_id: str) -> None:
        """Forget the object: from now on Stripe answers that there is no such one."""
        self.get(kind, object_id)
        del self._tables[kind][object_id]

    def hide(self, object_id: str, name: str, value: Payload) -> None:
        """Keep a field of an object that Stripe sends only where it is asked to expand it."""
        self._hidden[object_id, name] = value

    def hidden(self, object_id: str, name: str) -> Payload:
        return self._hidden.get((object_id, name), {})

    def expanded(self, payload: Payload, paths: list[str]) -> Payload:
        """Return a copy in which the fields named by `paths` hold objects instead of ids."""
        answer = copy.deepcopy(payload)
        for path in paths:
            self._expand(answer, path.split("."))
        return answer

    def _expand(self, value: Any, path: list[str]) -> None:
        if isinstance(value, list):
            for item in value:
                self._expand(item, path)
        if not path or not isinstance(value, dict):
            return
        name, *rest = path
        if name not in value and (value.get("id"), name) in self._hidden:
            value[name] = copy.deepcopy(self._hidden[value["id"], name])
        if name in value and name in EXPANDABLE:
            value[name] = self._referred(name, value.get(name))
        self._expand(value.get(name), rest)

    def _referred(self, name: str, value: Any) -> Any:
        if isinstance(value, list):
            return [self._referred(name, item) for item in value]
        if not isinstance(value, str):
            return value
        return copy.deepcopy(self.get(EXPANDABLE[name], value, param=name))

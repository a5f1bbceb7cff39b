"""What the tests of due fulfillments do: make the rows as sales would have left them, and run the job."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

from django.db import OperationalError

from usage_credits.billing.fulfillment import Fulfilled, fulfill_due
from usage_credits.models import Fulfillment, FulfillmentKind, Transaction, Wallet

START = datetime.datetime(2026, 1, 31, 10, tzinfo=datetime.UTC)
GRACE = datetime.timedelta(minutes=5)


def at(month: int, day: int, hour: int = 10, minute: int = 0, *, year: int = 2026) -> datetime.datetime:
    return datetime.datetime(year, month, day, hour, minute, tzinfo=datetime.UTC)


def make_subscription(wallet: Wallet, plan: str = "pro", **columns: Any) -> Fulfillment:
    """Return a stored fulfillment of a plan whose next award, and by default its first, is due at START."""
    defaults: dict[str, Any] = {
        "kind": FulfillmentKind.SUBSCRIPTION,
        "plan_name": plan,
        "period": "P1M",
        "anchor": START,
        "next_fulfillment_at": START,
    }
    return Fulfillment.objects.create(wallet=wallet, **{**defaults, **columns})


def make_grant(wallet: Wallet, credits: object = 70, **columns: Any) -> Fulfillment:
    """Return a stored manual fulfillment that awards `credits` once, at START."""
    defaults: dict[str, Any] = {
        "kind": FulfillmentKind.MANUAL,
        "metadata": {"credits": credits},
        "next_fulfillment_at": START,
    }
    return Fulfillment.objects.create(wallet=wallet, **{**defaults, **columns})


def fulfill(**options: Any) -> Fulfilled:
    """Run the job to its end and return the sum of its batches."""
    return sum(fulfill_due(**options), Fulfilled())


def rows_of(fulfillment: Fulfillment) -> list[Transaction]:
    return list(fulfillment.transactions.oldest_first())


def amounts_awarded(fulfillment: Fulfillment) -> list[int]:
    return [row.amount for row in rows_of(fulfillment)]


def dates_awarded(fulfillment: Fulfillment) -> list[datetime.datetime | None]:
    return [row.grid_date for row in rows_of(fulfillment)]


def refusing(verb: str, table: str, times: int | None = None) -> Callable[..., Any]:
    """Return what makes the database refuse `times` statements (None: all) that do this to a table."""
    refused = 0

    def execute(call: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal refused
        if sql.startswith(verb) and table in sql.split(" (")[0].split(" SET ")[0] and refused != times:
            refused += 1
            raise OperationalError("deadlock detected")
        return call(sql, params, many, context)

    return execute


def before_locking(act: Callable[[], Any]) -> Callable[..., Any]:
    """Return what lets somebody else act between the reading of a batch and the locking of its wallets."""
    is_done = False

    def execute(call: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal is_done
        if "usage_credits_wallet" in sql and not is_done:
            is_done = True
            act()
        return call(sql, params, many, context)

    return execute

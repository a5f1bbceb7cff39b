"""The calls that a project makes, and which of them have async twins."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import usage_credits
from usage_credits import models
from usage_credits.dsl.selling import Sellable

COLUMNS = "reads its own columns"
VIEWS = "decorates sync and async views alike"
QUERYSET = "builds a queryset, which Django's own twins read"
PLAIN = "computes from its arguments and the settings"
DJANGO = "Django's own twin calls it"

NEED_NONE = {
    "Fulfillment.due_date": COLUMNS,
    "Fulfillment.grid": COLUMNS,
    "Fulfillment.is_active": COLUMNS,
    "Fulfillment.is_recurring": COLUMNS,
    "HasWallet.estimate_credits_to": PLAIN,
    "HasWallet.save": DJANGO,
    "HasWallet.spending_credits_on": "its block is an async context manager too",
    "Hold.left": COLUMNS,
    "Lot.pays_for": COLUMNS,
    "Lot.spending_key": COLUMNS,
    "Recharge.is_in_flight": COLUMNS,
    "Transaction.description": COLUMNS,
    "Transaction.formatted_amount": COLUMNS,
    "Transaction.formatted_balance_after": COLUMNS,
    "Transaction.is_expired": COLUMNS,
    "Transaction.provider_cost": COLUMNS,
    "Transfer.inbound_transactions": QUERYSET,
    "Wallet.history": QUERYSET,
    "Wallet.save": DJANGO,
    "cents": PLAIN,
    "charges_credits": VIEWS,
    "credits": PLAIN,
    "dollars": PLAIN,
    "euros": PLAIN,
    "find_credit_pack": PLAIN,
    "find_subscription_plan": PLAIN,
    "pounds": PLAIN,
    "requires_credits": VIEWS,
    "token_prices": PLAIN,
    "token_rates": PLAIN,
    "with_credits": QUERYSET,
}
"""What needs no twin, and why."""

OF_DJANGO = {"clean", "clean_fields", "delete", "full_clean", "save_base"}
"""What forms, the admin and Django itself call: it has the twins that Django gives it."""


def public_calls() -> dict[str, Any]:
    """Return the functions, methods and properties that a project uses, by name; classes' as `Wallet.credit`."""
    found = {name: getattr(usage_credits, name) for name in usage_credits.__all__}
    calls = {name: value for name, value in found.items() if inspect.isfunction(value)}
    # What else dsl holds cannot touch a database: it is plain Python, says the contract in pyproject.toml.
    for owner in (usage_credits.HasWallet, Sellable, *(getattr(models, name) for name in models.__all__)):
        if inspect.isclass(owner):
            calls |= {f"{owner.__name__}.{name}": value for name, value in _members(owner)}
    return calls


def twins() -> dict[str, Any]:
    """Return the async twins, by the name of what they are twins of."""
    return {_sync_name(name): call for name, call in public_calls().items() if _is_twin(name, call)}


def without_twins() -> dict[str, Any]:
    """Return what is no twin itself."""
    return {name: call for name, call in public_calls().items() if not _is_twin(name, call)}


def signature(call: Any) -> inspect.Signature:
    """Return the signature of a function, or of a property's getter."""
    return inspect.signature(getattr(call, "fget", call))


def _members(owner: type) -> Iterator[tuple[str, Any]]:
    for parent in owner.__mro__:
        if parent.__module__.partition(".")[0] == "usage_credits":
            for name, value in vars(parent).items():
                is_call = inspect.isfunction(value) or isinstance(value, property)
                if is_call and not name.startswith(("_", "get_")) and name not in OF_DJANGO:
                    yield name, value


def _is_twin(name: str, call: Any) -> bool:
    return inspect.iscoroutinefunction(call) and name.rpartition(".")[2].startswith("a")


def _sync_name(name: str) -> str:
    owner, dot, method = name.rpartition(".")
    return f"{owner}{dot}{method.removeprefix('a')}"

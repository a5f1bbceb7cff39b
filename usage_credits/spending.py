"""Spend credits on operations: what an operation costs, whether a wallet can pay, and the charge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

from django.utils import timezone

from usage_credits import conf
from usage_credits.dsl.categories import OPERATION_CHARGE
from usage_credits.dsl.operations import Operation, Quote
from usage_credits.exceptions import InvalidOperation
from usage_credits.ledger.entries import DebitEntry
from usage_credits.ledger.keys import check_key
from usage_credits.ledger.uses import use_of
from usage_credits.values import check_metadata
from usage_credits.version import __version__


class ChargeOptions(TypedDict, total=False):
    idempotency_key: str | None
    attributed_to: str | None
    metadata: Mapping[str, Any] | None


def operation_named(name: object) -> Operation:
    """Return the operation of a name (str or Enum); raise InvalidOperation where settings define none."""
    catalogue = conf.current().catalogue
    operation = catalogue.operation(name)
    if operation is None:
        raise InvalidOperation(
            f"There is no operation {name!r}; known operations: {catalogue.known_operations}."
        )
    return operation


def quote(name: object, params: Mapping[str, Any]) -> Quote:
    """Check `params` and price the operation once, in credits.

    Raises InvalidOperation for an unknown operation, refused parameters, and a price that cannot be worked out.
    """
    return operation_named(name).quote(params, conf.current().rounding)


def quote_again(quoted: Quote, params: Mapping[str, Any]) -> Quote:
    """Price a use again with other parameters; those that are left out stay as they were. Raises InvalidOperation."""
    return quoted.anew(params, conf.current().rounding)


def charge_entry(
    quoted: Quote,
    **options: Unpack[ChargeOptions],
) -> DebitEntry | None:
    """Return the debit that charges the quoted price; None for a free operation, which posts nothing.

    Otherwise as `audited_entry`; raises InvalidValue for a free operation too.
    """
    checked = audited_entry(quoted, **options)
    return checked if quoted.price else None


def audited_entry(quoted: Quote, **options: Unpack[ChargeOptions]) -> DebitEntry:
    """Return the debit that charges the quoted price, of 1 where that is 0.

    Its metadata holds `operation, cost, params, metadata, executed_at, version`; the caller's `metadata` is laid over
    the operation's own inside `metadata` and can overwrite none of the others. Raises InvalidValue.
    """
    caller = check_metadata(options.get("metadata"))
    audit = quoted.audit(executed_at=timezone.now(), version=__version__)
    metadata = {**audit, "metadata": {**audit["metadata"], **caller}}
    return DebitEntry(
        amount=quoted.price or 1,
        category=OPERATION_CHARGE,
        # JSON can hold an audit as it is made; with what the caller gave it may nest too deep.
        metadata=check_metadata(metadata) if caller else metadata,
        idempotency_key=check_key(options.get("idempotency_key")),
        attributed_to=check_key(options.get("attributed_to"), "attributed_to"),
        operation=quoted.operation.name,
        use=use_of(quoted, audit),
    )

"""Credit a wallet."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, TypedDict, Unpack

from usage_credits import conf
from usage_credits.dsl.categories import CREDIT_ADDED
from usage_credits.dsl.money import Money
from usage_credits.exceptions import InvalidValue
from usage_credits.ledger.categories import check_category
from usage_credits.ledger.entries import CreditEntry
from usage_credits.ledger.journal import posting
from usage_credits.ledger.keys import check_key, check_keys, find_replay
from usage_credits.models import Fulfillment, Transaction, Wallet
from usage_credits.values import (
    MAX_AMOUNT,
    check_amount,
    check_metadata,
    check_moment,
    check_priority,
    check_scope,
)


class CreditOptions(TypedDict, total=False):
    category: str | None
    expires_at: datetime.datetime | datetime.date | None
    metadata: Mapping[str, Any] | None
    idempotency_key: str | None
    legacy_keys: Iterable[str]
    cash: Money | int | None
    priority: int
    scope: Iterable[str | Enum] | None
    fulfillment: Fulfillment | None
    grid_date: datetime.datetime | None


def credit(wallet: Wallet, amount: int, **options: Unpack[CreditOptions]) -> Transaction:
    """Add `amount` credits (int, 1 to 2**63 - 1) as a new lot and return the transaction.

    `category` is a default one or one of ADDITIONAL_CATEGORIES; `expires_at` an aware datetime in the future or None
    for never; `metadata` a mapping that JSON can hold; `cash` what was paid: `dollars(49)`, or an int in the minor
    unit of DEFAULT_CURRENCY. Credits of a lower `priority` (int, 16 bits) are spent first, before those that expire
    sooner. `scope` lists the operations that they may pay for, and nothing else takes them; None: any debit may. A
    repeated `idempotency_key`, or one whose older spelling in `legacy_keys` was used, returns the first transaction
    with `replayed` set.

    Locks the wallet's row; commits with the caller's transaction, or by itself. The new lot first settles what the
    wallet owes, oldest debt first and as far as its scope allows. Raises InvalidValue (InvalidAmount for the amount),
    IdempotencyConflict.
    """
    return post_credit(wallet, credit_entry(amount, **options))


def post_credit(wallet: Wallet, entry: CreditEntry) -> Transaction:
    """Post a checked entry, or return the transaction that used its key before; see `credit`."""
    with posting(wallet) as post:
        return find_replay(post, entry) or post.credit(entry)


def credit_entry(amount: int, **options: Unpack[CreditOptions]) -> CreditEntry:
    """Check the arguments of a credit and return them as an entry; raises InvalidValue."""
    cash_amount, cash_currency = _check_cash(options.get("cash"))
    return CreditEntry(
        amount=check_amount(amount),
        category=check_category(options.get("category"), default=CREDIT_ADDED),
        metadata=check_metadata(options.get("metadata")),
        expires_at=check_moment(options.get("expires_at"), "expires_at"),
        idempotency_key=check_key(options.get("idempotency_key")),
        legacy_keys=check_keys(options.get("legacy_keys") or ()),
        cash_amount=cash_amount,
        cash_currency=cash_currency,
        priority=check_priority(options.get("priority", 0)),
        scope=check_scope(options.get("scope")),
        fulfillment=options.get("fulfillment"),
        grid_date=check_moment(options.get("grid_date"), "grid_date"),
    )


def _check_cash(cash: object) -> tuple[int, str] | tuple[None, None]:
    """Return amount and currency; money given back is negative, so an int may be. Zero and None mean no cash."""
    if cash is None or (type(cash) is int and cash == 0):
        return None, None
    if isinstance(cash, Money):
        return (cash.amount, cash.currency) if cash.amount else (None, None)
    if type(cash) is int and abs(cash) <= MAX_AMOUNT:
        return cash, conf.current().default_currency
    raise InvalidValue.of(
        "cash", cash, "an amount of money such as dollars(49), a whole number of cents, or None"
    )

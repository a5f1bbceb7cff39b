"""Debit a wallet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

from usage_credits import conf
from usage_credits.dsl.categories import CREDIT_DEDUCTED
from usage_credits.exceptions import InsufficientCredits
from usage_credits.ledger.categories import check_category
from usage_credits.ledger.entries import DebitEntry
from usage_credits.ledger.events import announce_now
from usage_credits.ledger.journal import posting
from usage_credits.ledger.keys import check_key, find_replay
from usage_credits.ledger.reads import OwnedWallet
from usage_credits.models import Fulfillment, Transaction, Wallet
from usage_credits.values import check_amount, check_metadata, check_operation


class DebitOptions(TypedDict, total=False):
    category: str | None
    metadata: Mapping[str, Any] | None
    idempotency_key: str | None
    attributed_to: str | None
    operation: str | None
    fulfillment: Fulfillment | None


def debit(wallet: Wallet, amount: int, **options: Unpack[DebitOptions]) -> Transaction:
    """Take `amount` credits (int, 1 to 2**63 - 1) from the wallet's lots and return the transaction.

    Lots pay in the order of priority, soonest expiry, never-expiring last, then insertion; those with a scope only
    where it holds the debit's `operation` (any name; None for a debit that charges none). With ALLOW_NEGATIVE_BALANCE
    what they cannot pay becomes debt, which the next credits settle. A repeated `idempotency_key` returns the first
    transaction with `replayed` set. `attributed_to` names the API key or member that spent.

    Locks the wallet's row; commits with the caller's transaction, or by itself. Raises InvalidValue (InvalidAmount
    for the amount), IdempotencyConflict, and InsufficientCredits, which is announced as `insufficient_credits` at
    once and leaves nothing written.
    """
    return post_debit(wallet, debit_entry(amount, **options))


def post_debit(wallet: Wallet | OwnedWallet, entry: DebitEntry) -> Transaction:
    """Post a checked entry, or return the transaction that used its key before; see `debit`.

    Raises WalletNotFound where the owner has no such wallet.
    """
    try:
        with posting(wallet, takes=True) as post:
            replay = find_replay(post, entry)
            return replay or post.debit(entry, allow_negative=conf.current().allow_negative_balance)
    except InsufficientCredits as refusal:
        announce_refusal(post.wallet, entry, refusal)
        raise


def debit_entry(amount: int, **options: Unpack[DebitOptions]) -> DebitEntry:
    """Check the arguments of a debit and return them as an entry; raises InvalidValue."""
    return DebitEntry(
        amount=check_amount(amount),
        category=check_category(options.get("category"), default=CREDIT_DEDUCTED),
        metadata=check_metadata(options.get("metadata")),
        idempotency_key=check_key(options.get("idempotency_key")),
        attributed_to=check_key(options.get("attributed_to"), "attributed_to"),
        operation=_check_operation(options.get("operation")),
        fulfillment=options.get("fulfillment"),
    )


def _check_operation(name: object) -> str | None:
    return None if name is None else check_operation(name)


def announce_refusal(wallet: Wallet, entry: DebitEntry, refusal: InsufficientCredits) -> None:
    """Announce at once that the wallet could not pay `entry`."""
    figures = {"available": refusal.available, "required": refusal.required}
    announce_now(
        "insufficient_credits",
        wallet,
        amount=entry.amount,
        category=entry.category,
        operation=entry.operation,
        metadata={**figures, "params": entry.metadata.get("params", {})},
        **figures,
    )

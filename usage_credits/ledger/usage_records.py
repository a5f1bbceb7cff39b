"""Record what was used under the id of its message: charged once, and corrected by the difference.

A message's rows carry the keys `usage:<message>:<n>`, in the order in which they were posted: what was charged, then
what a changed count charged besides or gave back. They add up to the price that was recorded last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Final

from usage_credits.exceptions import IdempotencyConflict
from usage_credits.ledger.entries import DebitEntry, Use
from usage_credits.ledger.journal import posting
from usage_credits.ledger.keys import rows_in_series
from usage_credits.ledger.posting import Posting
from usage_credits.ledger.reads import OwnedWallet
from usage_credits.ledger.returns import Returned, give_back, undone_of
from usage_credits.models import Transaction, Wallet
from usage_credits.values import check_text

_MARK: Final = "usage:"

MAX_MESSAGE: Final = 240
"""The longest id of a message, in characters: its keys need the rest of the column."""


def check_message(message: object, field: str = "message") -> str:
    """Return the id of a message, text of 1 to 240 characters; raise InvalidValue for anything else."""
    return check_text(message, field, max_length=MAX_MESSAGE)


def record_use(
    wallet: Wallet | OwnedWallet, message: str, price: int, entry: DebitEntry
) -> Transaction | None:
    """Bring what `message` is charged to `price` and return the row that did; `entry` is checked and says what for.

    Posts the difference to what was recorded before: a debit, which neither caps nor a lack of credits refuse, or the
    credits that give back the last of what the message's debits took; then the last of them is returned. Without a
    difference it returns the message's latest row with `replayed` set, None where it was never charged.

    Locks the wallet's row; commits with the caller's transaction, or by itself. Raises IdempotencyConflict where the
    message was recorded for another operation or model, WalletNotFound.
    """
    series = f"{_MARK}{message}"
    with posting(wallet, takes=True) as post:
        earlier = rows_in_series(post, series)
        entry = replace(entry, metadata={**entry.metadata, "message": message})
        if earlier:
            _check_same(earlier[0], entry)
        difference = price + sum(row.amount for row in earlier)
        keys = (f"{series}:{number}" for number in count(len(earlier) + 1))
        use = _beyond(entry.use, earlier)
        if difference > 0:
            due = replace(entry, amount=difference, idempotency_key=next(keys), use=use, is_due=True)
            return post.debit(due, allow_negative=True)
        if difference < 0:
            returned = _last_of(post, earlier, -difference)
            # The latest first: debts that are still open are settled by what would be left longest.
            rows = give_back(post, returned, metadata=entry.metadata, use=use, keys=keys, latest_first=True)
            if rows:
                return rows[-1]
        return _replay(earlier)


def _check_same(first: Transaction, entry: DebitEntry) -> None:
    """Raise IdempotencyConflict where `first` is not what recorded the message of `entry` for the first time."""
    model = entry.use and entry.use.model
    recorded = first.metadata.get("message"), first.category, first.operation, first.model
    if recorded != (entry.metadata["message"], entry.category, entry.operation, model):
        raise IdempotencyConflict(
            f"The message {entry.metadata['message']!r} was recorded for {first.operation} with {first.model}, "
            f"now it is given for {entry.operation} with {model}."
        )


def _beyond(use: Use | None, earlier: Sequence[Transaction]) -> Use | None:
    """Return a use less what the earlier rows carry of it."""
    if use is None or not earlier:
        return use
    tokens, nanos = use.tokens, use.provider_cost_nanos
    if tokens is not None:
        tokens -= sum(row.tokens or 0 for row in earlier)
    if nanos is not None:
        same = (row for row in earlier if row.provider_currency == use.provider_currency)
        nanos -= sum(row.provider_cost_nanos or 0 for row in same)
    return replace(use, tokens=tokens, provider_cost_nanos=nanos)


def _last_of(post: Posting, earlier: Sequence[Transaction], amount: int) -> Iterator[Returned]:
    """Yield what to give back of the message's debits, the latest first; nothing of what was reversed."""
    debits = [row for row in reversed(earlier) if row.amount < 0]
    undone = undone_of(debits, post.wallet._state.db)
    for debit in debits:
        before = undone[debit.pk].amount
        part = min(amount, -debit.amount - before)
        if part:
            amount -= part
            yield Returned(debit, part, before)


def _replay(earlier: Sequence[Transaction]) -> Transaction | None:
    if not earlier:
        return None
    earlier[-1].replayed = True
    return earlier[-1]

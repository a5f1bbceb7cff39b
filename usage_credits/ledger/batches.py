"""Debit a wallet many times under one lock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import Any, Literal, TypedDict, get_args, overload

from usage_credits import conf
from usage_credits.exceptions import InsufficientCredits, InvalidValue, UsageCreditsError
from usage_credits.ledger.debits import announce_refusal, debit_entry
from usage_credits.ledger.entries import DebitEntry
from usage_credits.ledger.events import announce_now
from usage_credits.ledger.journal import posting
from usage_credits.ledger.keys import check_same, rows_by_key
from usage_credits.ledger.posting import Posting
from usage_credits.models import Transaction, Wallet

Mode = Literal["all", "each"]


class _Options(TypedDict, total=False):
    category: str | None
    metadata: Mapping[str, Any] | None
    idempotency_key: str | None
    attributed_to: str | None
    operation: str | None


class DebitItem(_Options):
    """One debit of a batch: an amount and the options of `wallet.debit`."""

    amount: int


ALLOWED = tuple(DebitItem.__annotations__)


@overload
def debit_many(
    wallet: Wallet, items: Iterable[DebitItem | int], *, mode: Literal["all"] = "all"
) -> list[Transaction]: ...
@overload
def debit_many(
    wallet: Wallet, items: Iterable[DebitItem | int], *, mode: Mode
) -> Sequence[Transaction | UsageCreditsError]: ...
def debit_many(
    wallet: Wallet, items: Iterable[DebitItem | int], *, mode: Mode = "all"
) -> Sequence[Transaction | UsageCreditsError]:
    """Take many amounts from the wallet's lots, one row each, and return a result for each item, in order.

    An item is an amount, or a mapping of `amount` and the options of `wallet.debit`: category, metadata,
    idempotency_key, attributed_to, operation. `mode` "all" posts all of them or none and returns transactions only;
    "each" posts what can be paid when its turn comes, and the result of what is refused is its error. A key that was
    used before, also by an earlier item, gives a transaction with `replayed` set; all keys are looked up first.

    Locks the wallet's row once; commits with the caller's transaction, or by itself. The number of statements does not
    depend on the number of items. Raises, before the lock, InvalidValue whose field names the item's index; with
    "all" also IdempotencyConflict, and InsufficientCredits with what all new items together require and what of that
    could be paid. What is refused is announced as `insufficient_credits` after the lock, once for the batch or once
    for each item.
    """
    if mode not in get_args(Mode):
        raise InvalidValue.of("mode", mode, '"all" or "each"')
    entries = _entries(items)
    if not entries:
        return []
    return _debit_all(wallet, entries) if mode == "all" else _debit_each(wallet, entries)


def _entries(items: object) -> list[DebitEntry]:
    if isinstance(items, str | bytes | Mapping) or not isinstance(items, Iterable):
        raise InvalidValue.of("items", items, "a list of amounts or of mappings")
    return [_entry(item, f"items[{index}]") for index, item in enumerate(items)]


def _entry(item: object, place: str) -> DebitEntry:
    options: dict[Any, Any] = dict(item) if isinstance(item, Mapping) else {"amount": item}
    unknown = [name for name in options if name not in ALLOWED]
    if unknown:
        raise InvalidValue(place, f"got {unknown[0]!r}, allowed are {', '.join(ALLOWED)}.")
    if "amount" not in options:
        raise InvalidValue(place, "got no amount.")
    try:
        return debit_entry(**options)
    except InvalidValue as error:
        raise type(error)(f"{place}.{error.field}", *error.args[1:]) from error


def _debit_all(wallet: Wallet, entries: list[DebitEntry]) -> list[Transaction]:
    try:
        with posting(wallet, takes=True) as post:
            batch = _Batch(post, entries)
            fresh = batch.check_keys(entries)
            post.caps.check_all((entry.attributed_to, entry.amount) for entry in fresh)
            posted = batch.post_all(entries, required=sum(entry.amount for entry in fresh))
    except InsufficientCredits as refusal:
        _announce_refusal(wallet, fresh, refusal)
        raise
    return [_result(*found) for found in posted]


def _debit_each(wallet: Wallet, entries: list[DebitEntry]) -> list[Transaction | UsageCreditsError]:
    results: list[tuple[Transaction, bool] | UsageCreditsError] = []
    with posting(wallet, takes=True) as post:
        batch = _Batch(post, entries)
        for entry in entries:
            try:
                results.append(batch.post(entry))
            except UsageCreditsError as error:
                results.append(error)
    for entry, result in zip(entries, results, strict=True):
        if isinstance(result, InsufficientCredits):
            announce_refusal(wallet, entry, result)
    return [result if isinstance(result, UsageCreditsError) else _result(*result) for result in results]


class _Batch:
    """The debits of a batch within a posting, and the rows that used their keys so far."""

    def __init__(self, post: Posting, entries: Iterable[DebitEntry]) -> None:
        self.allow_negative = conf.current().allow_negative_balance
        self._post = post
        self._used = rows_by_key(post, entries)
        post.caps.expect(entry.attributed_to for entry in entries)

    def check_keys(self, entries: Iterable[DebitEntry]) -> list[DebitEntry]:
        """Return the entries that are no replays, of the wallet or of each other; raises IdempotencyConflict."""
        first: dict[str, DebitEntry] = {}
        fresh: list[DebitEntry] = []
        for entry in entries:
            key = entry.idempotency_key
            if key is None:
                fresh.append(entry)
            elif key in self._used:
                check_same(self._used[key], entry, key)
            elif key not in first:
                first[key] = entry
                fresh.append(entry)
            else:
                check_same(Transaction(amount=-first[key].amount, category=first[key].category), entry, key)
        return fresh

    def post_all(self, entries: Iterable[DebitEntry], *, required: int) -> list[tuple[Transaction, bool]]:
        """Post the entries in turn, as `post`; raises InsufficientCredits with `required` where one cannot be paid."""
        posted: list[tuple[Transaction, bool]] = []
        try:
            for entry in entries:
                posted.append(self.post(entry))
        except InsufficientCredits as refusal:
            paid = sum(-row.amount for row, replayed in posted if not replayed)
            raise InsufficientCredits(paid + refusal.available, required) from None
        return posted

    def post(self, entry: DebitEntry) -> tuple[Transaction, bool]:
        """Post the entry, or find the row that used its key; return the row and whether it is a replay."""
        key = entry.idempotency_key
        if key is not None and key in self._used:
            check_same(self._used[key], entry, key)
            return self._used[key], True
        row = self._post.debit(entry, allow_negative=self.allow_negative)
        if key is not None:
            self._used[key] = row
        return row, False


def _result(row: Transaction, replayed: bool) -> Transaction:
    """Return the row; for a replay an instance of its own, as the first item's result is no replay."""
    if replayed:
        row = copy(row)
        row.replayed = True
    return row


def _announce_refusal(wallet: Wallet, entries: list[DebitEntry], refusal: InsufficientCredits) -> None:
    categories = {entry.category for entry in entries}
    operations = {entry.operation for entry in entries}
    figures = {"available": refusal.available, "required": refusal.required}
    announce_now(
        "insufficient_credits",
        wallet,
        amount=refusal.required,
        category=categories.pop() if len(categories) == 1 else None,
        operation=operations.pop() if len(operations) == 1 else None,
        metadata={**figures, "items": len(entries)},
        **figures,
    )

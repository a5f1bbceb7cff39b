"""Idempotency keys: one key, one effect in a wallet, for ever."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from typing import Any

from django.db import connections, router
from django.db.models import F, QuerySet

from usage_credits.exceptions import IdempotencyConflict, InvalidValue
from usage_credits.ledger.compiled import MOST_REMEMBERED, CompiledQuery
from usage_credits.ledger.dialects import MAX_PARAMETERS
from usage_credits.ledger.entries import CreditEntry, DebitEntry
from usage_credits.ledger.posting import Posting
from usage_credits.models import KeyAlias, Transaction, Wallet
from usage_credits.values import check_text


def check_key(key: object, field: str = "idempotency_key") -> str | None:
    """Return a key of 1 to 255 characters, or None for none; raise InvalidValue for anything else."""
    return None if key is None else check_text(key, field)


def check_keys(keys: object, field: str = "legacy_keys") -> tuple[str, ...]:
    """Return older keys as a tuple; raise InvalidValue for a plain string or a bad key."""
    if isinstance(keys, str) or not isinstance(keys, Iterable):
        raise InvalidValue.of(field, keys, "a list of keys")
    return tuple(check_text(key, field) for key in keys)


def find_replay(post: Posting, entry: CreditEntry | DebitEntry) -> Transaction | None:
    """Return the transaction that used the entry's key, or one of its legacy keys, before; marked as replayed.

    Looked up under the wallet's lock and before anything else; one statement. Where only a legacy key was used, the
    entry's own key is recorded as its alias, so that it counts as used from now on. Raises IdempotencyConflict where
    the first use was of another kind, amount or category.
    """
    legacy_keys = entry.legacy_keys if isinstance(entry, CreditEntry) else ()
    keys = [key for key in (entry.idempotency_key, *legacy_keys) if key is not None]
    used = _used(post.wallet, keys) if keys else {}
    found = next((used[key] for key in keys if key in used), None)
    if found is None:
        return None
    check_same(found, entry, keys[0])
    if entry.idempotency_key is not None and entry.idempotency_key not in used:
        post.alias(found, entry.idempotency_key)
    found.replayed = True
    return found


def check_same(found: Transaction, entry: CreditEntry | DebitEntry, key: str) -> None:
    """Raise IdempotencyConflict where `found`, which used `key`, is not what `entry` would post."""
    amount = entry.amount if isinstance(entry, CreditEntry) else -entry.amount
    if (found.amount, found.category) != (amount, entry.category):
        raise IdempotencyConflict(
            f"The idempotency key {key!r} was used for {found.category} {found.amount:+d}, "
            f"now it is given for {entry.category} {amount:+d}."
        )


def rows_by_key(post: Posting, entries: Iterable[DebitEntry]) -> dict[str, Transaction]:
    """Return which of the entries' keys were used before, and for which row; one statement for thousands of keys."""
    keys = list({entry.idempotency_key: None for entry in entries if entry.idempotency_key is not None})
    used: dict[str, Transaction] = {}
    size = MAX_PARAMETERS // 3
    for start in range(0, len(keys), size):
        used |= _used(post.wallet, keys[start : start + size])
    return used


def find_by_key(wallet: Wallet, key: str | None) -> Transaction | None:
    """Return the transaction that used `key` before in the wallet, as it is, marked as replayed. One statement."""
    found = None if key is None else _used(wallet, [key]).get(key)
    if found is not None:
        found.replayed = True
    return found


def rows_in_series(post: Posting, series: str) -> list[Transaction]:
    """Return the rows under the keys `<series>:1`, `<series>:2` …, up to the first key that was not used.

    One statement for the first 14 rows, and for every 15 more.
    """
    rows: list[Transaction] = []
    while True:
        keys = [f"{series}:{len(rows) + number}" for number in range(1, MOST_REMEMBERED)]
        used = _used(post.wallet, keys)
        found = list(takewhile(lambda row: row is not None, (used.get(key) for key in keys)))
        rows += [row for row in found if row is not None]
        if len(found) < len(keys):
            return rows


def wallets_that_used(key: str | None, wallets: list[int], using: str) -> set[int]:
    """Return those of `wallets` (primary keys) in which `key` was used before. One statement, none without a key."""
    if key is None or not wallets:
        return set()
    own = Transaction.objects.using(using).filter(wallet__in=wallets, idempotency_key=key)
    aliased = KeyAlias.objects.using(using).filter(wallet__in=wallets, key=key)
    return set(own.values_list("wallet", flat=True).union(aliased.values_list("wallet", flat=True)))


def _rows_that_used(using: str, wallet: Any, *keys: Any) -> QuerySet[Transaction]:
    rows = Transaction.objects.using(using)
    own = rows.filter(wallet=wallet, idempotency_key__in=keys).annotate(used_key=F("idempotency_key"))
    aliased = rows.filter(key_aliases__wallet=wallet, key_aliases__key__in=keys).annotate(
        used_key=F("key_aliases__key")
    )
    return own.union(aliased, all=True)


_USED = CompiledQuery(
    _rows_that_used, Wallet._meta.get_field("id"), Transaction._meta.get_field("idempotency_key")
)


def _used(wallet: Wallet, keys: list[str]) -> dict[str, Transaction]:
    """Return which of `keys` were used in the wallet, as a row's own key or as an alias, and for which row."""
    with connections[router.db_for_write(Wallet, instance=wallet)].cursor() as cursor:
        rows = _USED(cursor, wallet.pk, *keys)
    return {getattr(row, "used_key"): row for row in rows}  # noqa: B009 - an annotation

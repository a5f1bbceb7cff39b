"""What a posting reads: the wallets, locked, and their lots."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator
from typing import Any

from django.db.backends.utils import CursorWrapper
from django.db.models import QuerySet

from usage_credits.ledger import dialects
from usage_credits.ledger.compiled import CompiledQuery
from usage_credits.models import Lot, Wallet


def lock_wallets(pks: Collection[int], cursor: CursorWrapper, *, skip_locked: bool = False) -> list[Wallet]:
    """Lock the wallets' rows in key order, by a statement of its own, and return them as they are under the lock.

    Under READ COMMITTED a statement that both waits for the lock and reads lots would read them as they were before
    the wait. `skip_locked` leaves out rows that others hold, where that can be told.
    """
    if not dialects.has_row_locks(cursor.db):
        return dialects.lock_by_writing(pks, cursor.db)
    return (_FREE if skip_locked else _LOCKED)(cursor, *pks)


def _wallets(using: str, *pks: Any) -> QuerySet[Wallet]:
    return Wallet.objects.using(using).filter(pk__in=pks).order_by("pk")


_LOCKED = CompiledQuery(
    lambda using, *pks: dialects.locking(_wallets(using, *pks)), Wallet._meta.get_field("id")
)
_FREE = CompiledQuery(
    lambda using, *pks: dialects.locking(_wallets(using, *pks), skip_locked=True),
    Wallet._meta.get_field("id"),
)
_OPEN_LOTS = CompiledQuery(
    lambda using, wallet: Lot.objects.using(using).filter(wallet=wallet).in_spending_order().open(),
    Wallet._meta.get_field("id"),
)
_EXPIRED_LOTS = CompiledQuery(
    lambda using, wallet, now: (
        Lot.objects.using(using).filter(wallet=wallet).in_spending_order().expired(now)
    ),
    Wallet._meta.get_field("id"),
    Lot._meta.get_field("expires_at"),
)


def open_lots(wallet: Wallet, cursor: CursorWrapper) -> Iterator[Lot]:
    """Yield the wallet's open lots in spending order, read when the first is asked for."""
    yield from _OPEN_LOTS(cursor, wallet.pk)


def expired_lots(wallet: Wallet, now: datetime.datetime, cursor: CursorWrapper) -> Iterator[Lot]:
    """Yield the wallet's open lots that have expired, in spending order, read when the first is asked for."""
    yield from _EXPIRED_LOTS(cursor, wallet.pk, now)

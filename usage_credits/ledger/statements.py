"""What a posting reads: the wallets, locked, and their lots."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator

from django.db.backends.utils import CursorWrapper

from usage_credits.ledger import dialects
from usage_credits.ledger.among import Among
from usage_credits.ledger.compiled import CompiledQuery, fetch
from usage_credits.models import Lot, Wallet

FEW = 16
"""More wallets than this are found by an array of their keys, where the database takes one."""


def lock_wallets(pks: Collection[int], cursor: CursorWrapper, *, skip_locked: bool = False) -> list[Wallet]:
    """Lock the wallets' rows in key order, by a statement of its own, and return them as they are under the lock.

    Under READ COMMITTED a statement that both waits for the lock and reads lots would read them as they were before
    the wait. `skip_locked` leaves out rows that others hold, where that can be told.
    """
    if not dialects.has_row_locks(cursor.db):
        return dialects.lock_by_writing(pks, cursor.db)
    if len(pks) <= FEW and not skip_locked:
        return _LOCKED(cursor, *pks)
    wallets = Wallet.objects.using(cursor.db.alias).filter(Among("pk", pks)).order_by("pk")
    return fetch(dialects.locking(wallets, skip_locked=skip_locked), cursor)


_LOCKED = CompiledQuery(
    lambda using, *pks: dialects.locking(Wallet.objects.using(using).filter(pk__in=pks).order_by("pk")),
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


def lots_of_all(
    wallets: Collection[Wallet], now: datetime.datetime, cursor: CursorWrapper, *, takes: bool
) -> list[Lot]:
    """Return the open lots of many wallets in spending order; unless credits are taken, those that have expired."""
    lots = Lot.objects.filter(Among("wallet", [wallet.pk for wallet in wallets])).in_spending_order()
    return fetch(lots.open() if takes else lots.expired(now), cursor)

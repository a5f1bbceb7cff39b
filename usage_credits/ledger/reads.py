"""What a posting reads: the wallets, locked, and their lots."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator
from typing import NamedTuple

from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.backends.utils import CursorWrapper

from usage_credits.ledger import dialects
from usage_credits.ledger.among import Among
from usage_credits.ledger.compiled import CompiledQuery, fetch
from usage_credits.models import Lot, Wallet


class OwnedWallet(NamedTuple):
    """The wallet of `asset` that an owner has, to be locked without having been read; `owner_type` is a key."""

    owner: models.Model
    owner_type: int
    asset: str


FEW = 16
"""More wallets than this are found by an array of their keys, where the database takes one."""


def lock_wallets(pks: Collection[int], cursor: CursorWrapper, *, skip_locked: bool = False) -> list[Wallet]:
    """Lock the wallets' rows in key order, by a statement of its own, and return them as they are under the lock.

    Under READ COMMITTED a statement that both waits for the lock and reads lots would read them as they were before
    the wait. `skip_locked` leaves out rows that others hold, where that can be told.
    """
    if not dialects.has_row_locks(cursor.db):
        return dialects.lock_by_writing({"id": list(pks)}, cursor.db)
    if len(pks) <= FEW and not skip_locked:
        return _LOCKED(cursor, *pks)
    wallets = Wallet.objects.using(cursor.db.alias).filter(Among("pk", pks)).order_by("pk")
    return fetch(dialects.locking(wallets, skip_locked=skip_locked), cursor)


def lock_owned(wallet: OwnedWallet, cursor: CursorWrapper) -> list[Wallet]:
    """Lock the wallet of an owner as `lock_wallets` does, and return it, or none where there is none."""
    connection = cursor.db
    if dialects.has_row_locks(connection):
        return _LOCKED_OWNED(cursor, wallet.owner_type, wallet.owner.pk, wallet.asset)
    owner_id = Wallet._meta.get_field("owner_id").get_db_prep_value(wallet.owner.pk, connection)
    key = {"owner_type_id": [wallet.owner_type], "owner_id": [owner_id], "asset": [wallet.asset]}
    return dialects.lock_by_writing(key, connection)


_LOCKED = CompiledQuery(
    lambda using, *pks: dialects.locking(Wallet.objects.using(using).filter(pk__in=pks).order_by("pk")),
    Wallet._meta.get_field("id"),
)
_LOCKED_OWNED = CompiledQuery(
    lambda using, owner_type, owner_id, asset: dialects.locking(
        Wallet.objects.using(using).filter(owner_type=owner_type, owner_id=owner_id, asset=asset)
    ),
    ContentType._meta.get_field("id"),
    Wallet._meta.get_field("owner_id"),
    Wallet._meta.get_field("asset"),
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

"""The journal: lock wallets, read what a write needs of them, hand out their postings, and write those.

`posting(wallet)` yields a `Posting`; what its verbs append is written when the block ends, by a number of statements
that depends neither on the wallet's history nor on how many lots were touched. An error inside the block writes
nothing.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from django.db import connections, router, transaction
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from usage_credits.exceptions import InvalidValue, UsageCreditsError, WalletNotFound
from usage_credits.ledger import reads
from usage_credits.ledger.capped import write_caps
from usage_credits.ledger.changes import Insert, Update, store
from usage_credits.ledger.dialects import find_by_index
from usage_credits.ledger.held import changes_of, forget_emptied, overdue_parts
from usage_credits.ledger.posting import Posting
from usage_credits.ledger.reads import OwnedWallet
from usage_credits.models import HeldLot, Lot, Wallet

OWNER: Final[Any] = Wallet._meta.get_field("owner")


@contextmanager
def posting(wallet: Wallet | OwnedWallet, *, takes: bool = False) -> Iterator[Posting]:
    """Lock `wallet`, yield its Posting, and write it when the block ends.

    A posting that `takes` credits reads all open lots; one that only adds some, just those that have expired.

    Joins the caller's transaction where there is one; the lock then lasts until that commits. A UsageCreditsError
    leaves the caller's transaction usable: it is raised before anything was written, past the atomic block.
    """
    with postings([wallet], taking=int(takes)) as [post]:
        yield post


@contextmanager
def postings(wallets: Sequence[Wallet | OwnedWallet], *, taking: int) -> Iterator[list[Posting]]:
    """Lock wallets in key order and yield their Postings, as given; the first `taking` take credits. See `posting`.

    One that is known by its owner only comes alone: its place in that order is not known before it is locked.
    """
    first = wallets[0]
    home = first.owner if isinstance(first, OwnedWallet) else first
    using = router.db_for_write(Wallet, instance=home)
    refusal: UsageCreditsError | None = None
    with transaction.atomic(using=using, savepoint=False), connections[using].cursor() as cursor:
        try:
            locked = _lock(wallets, cursor)
            now = timezone.now()
            posts = [
                draft(wallet, now, takes=number < taking, cursor=cursor)
                for number, wallet in enumerate(locked)
            ]
            yield posts
        except UsageCreditsError as error:
            refusal = error
        else:
            _write(posts, cursor)
    if refusal is not None:
        raise refusal


def draft(wallet: Wallet, now: datetime.datetime, *, takes: bool, cursor: CursorWrapper) -> Posting:
    """Return a posting to a wallet as it was read; only who has locked that may `write` it. See `posting`."""
    lots = reads.open_lots(wallet, cursor) if takes else reads.expired_lots(wallet, now, cursor)
    return Posting(wallet, now, lots, overdue_parts([wallet], now))


def lock_all(
    pks: Collection[int], using: str, *, takes: bool = False, skip_locked: bool = False
) -> dict[int, Posting]:
    """Lock many wallets in key order and return a Posting for each, to be stored together by `write`.

    Called inside a transaction. As with `posting`, those that do not take credits know only what has expired.
    `skip_locked` leaves out wallets that others hold, where the database can tell.
    """
    if not pks:
        return {}
    with connections[using].cursor() as cursor:
        if len(pks) > 1:
            find_by_index(cursor)
        wallets = reads.lock_wallets(pks, cursor, skip_locked=skip_locked)
        now = timezone.now()
        lots = reads.lots_of_all(wallets, now, cursor, takes=takes)
    known: defaultdict[int, list[Lot]] = defaultdict(list)
    for lot in lots:
        known[lot.wallet_id].append(lot)
    overdue: defaultdict[int, list[HeldLot]] = defaultdict(list)
    for part in overdue_parts(wallets, now):
        overdue[part.lot.wallet_id].append(part)
    return {wallet.pk: Posting(wallet, now, known[wallet.pk], overdue[wallet.pk]) for wallet in wallets}


def _of_owner(owned: OwnedWallet, cursor: CursorWrapper) -> Wallet:
    for wallet in reads.lock_owned(owned, cursor):
        OWNER.set_cached_value(wallet, owned.owner)
        return wallet
    raise WalletNotFound(f"There is no wallet of {owned.asset} of {owned.owner!r}.")


def _as_given(wallet: Wallet, found: dict[int, Wallet]) -> Wallet:
    if wallet.pk not in found:
        raise WalletNotFound(f"There is no wallet {wallet.pk}.")
    if OWNER.is_cached(wallet):
        OWNER.set_cached_value(found[wallet.pk], OWNER.get_cached_value(wallet))
    return found[wallet.pk]


def _lock(wallets: Sequence[Wallet | OwnedWallet], cursor: CursorWrapper) -> list[Wallet]:
    read = [wallet for wallet in wallets if isinstance(wallet, Wallet)]
    if any(wallet.pk is None for wallet in read):
        raise InvalidValue("wallet", "an unsaved wallet has no ledger; save it first.")
    found = (
        {wallet.pk: wallet for wallet in reads.lock_wallets([one.pk for one in read], cursor)} if read else {}
    )
    return [
        _of_owner(wallet, cursor) if isinstance(wallet, OwnedWallet) else _as_given(wallet, found)
        for wallet in wallets
    ]


def write(posts: Sequence[Posting], using: str) -> None:
    """Insert what the postings appended, update the projections, and announce each row once it is committed."""
    with connections[using].cursor() as cursor:
        _write(posts, cursor)


def _write(posts: Sequence[Posting], cursor: CursorWrapper) -> None:
    aliases = [alias for post in posts for alias in post.aliases]
    posts = [post for post in posts if post.rows or post.claims.has_changes or post.holds.has_changes]
    projections = {name for post in posts for name in post.project()}
    changes = [
        Insert(aliases),
        Insert([hold for post in posts for hold in post.holds.new]),
        Insert([row for post in posts for row in post.rows]),
        Insert([lot for post in posts for lot in post.new_lots]),
        Insert([allocation for post in posts for allocation in post.allocations]),
        Insert([claim for post in posts for claim in post.claims.new]),
        *changes_of([post.holds for post in posts]),
        Update([lot for post in posts for lot in post.used_lots.values()], ("remaining", "is_open")),
        Update(
            [claim for post in posts for claim in post.claims.changed.values()],
            ("amount", "open_amount", "metadata"),
        ),
        Update([post.wallet for post in posts] if projections else [], tuple(sorted(projections))),
    ]
    store(changes, cursor)
    forget_emptied([post.holds for post in posts], cursor.db.alias)
    write_caps(posts, cursor)
    for post in posts:
        post.holds.announce()

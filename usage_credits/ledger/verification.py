"""Prove the ledger: every invariant is a query that returns the rows which break it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import connections, router
from django.db.models import Max, Min

from usage_credits.ledger.invariants import CATEGORIES, CHECKS
from usage_credits.ledger.wallet_ranges import WalletRange, of_wallets
from usage_credits.models import Wallet

WALLETS_AT_ONCE = 10_000


@dataclass(frozen=True)
class Finding:
    """One row that breaks an invariant. `row` names it by table and primary key."""

    invariant: str
    wallet_id: int | None
    row: str
    problem: str

    def __str__(self) -> str:
        return f"{self.invariant} wallet {self.wallet_id}, {self.row}: {self.problem}"


def verify(
    *, wallet_id: int | None = None, wallets: WalletRange | None = None, using: str | None = None
) -> Iterator[Finding]:
    """Yield every row that breaks INV-1 to INV-6, INV-8 or, for caps and awards, INV-9, of one wallet, some or all.

    Reads only and takes no lock: each check is one statement and so sees one state of the database, also while
    others write. Goes through the wallets in key order, `WALLETS_AT_ONCE` at a time, so that memory stays flat.
    """
    using = using or router.db_for_read(Wallet)
    if wallet_id is not None:
        wallets = WalletRange(wallet_id, wallet_id)
    for first, last in _ranges(wallets, using):
        for check in CHECKS:
            with connections[using].cursor() as cursor:
                cursor.execute(check.sql, {"first": first, "last": last, **CATEGORIES})
                for wallet, pk, *figures in cursor.fetchall():
                    yield Finding(
                        check.invariant, wallet, f"{check.table} {pk}", check.problem.format(*figures)
                    )


def _ranges(wallets: WalletRange | None, using: str) -> Iterator[tuple[int, int]]:
    ends = (
        Wallet.objects.using(using)
        .filter(of_wallets(wallets, "pk"))
        .aggregate(first=Min("pk"), last=Max("pk"))
    )
    if ends["first"] is None:
        return
    for first in range(ends["first"], ends["last"] + 1, WALLETS_AT_ONCE):
        yield first, min(first + WALLETS_AT_ONCE - 1, ends["last"])

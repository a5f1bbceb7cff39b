"""Book what has expired, in batches of wallets."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import router, transaction
from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from usage_credits.ledger.among import Among
from usage_credits.ledger.journal import lock_all, write
from usage_credits.ledger.posting import Posting
from usage_credits.ledger.wallet_ranges import WalletRange, of_wallets
from usage_credits.models import Fulfillment, Hold, Lot, Wallet

MAX_HELD = 10_000
"""How many wallets that others hold are put off before they are waited for."""


@dataclass(frozen=True)
class Expired:
    """What one batch booked, or would book: wallets, lots, the credits that were left of them, holds that it ended."""

    wallets: int = 0
    lots: int = 0
    credits: int = 0
    holds: int = 0

    def __add__(self, other: Expired) -> Expired:
        return Expired(
            self.wallets + other.wallets,
            self.lots + other.lots,
            self.credits + other.credits,
            self.holds + other.holds,
        )


def count_expired(using: str | None = None, *, wallets: WalletRange | None = None) -> Expired:
    """Return what waits to be booked now, in two statements; what holds give back is not counted beforehand."""
    using, now = using or router.db_for_read(Wallet), timezone.now()
    totals = (
        Lot.objects.using(using)
        .expired(now)
        .filter(of_wallets(wallets))
        .aggregate(wallets=Count("wallet", distinct=True), lots=Count("pk"), credits=Sum("remaining"))
    )
    holds = _overdue(using, now).filter(of_wallets(wallets)).count()
    return Expired(totals["wallets"], totals["lots"], totals["credits"] or 0, holds)


def book_expired(
    *, batch_size: int = 1_000, wallets: WalletRange | None = None, using: str | None = None
) -> Iterator[Expired]:
    """Post an expiration row for every expired lot, `batch_size` wallets at a time, yielding what each batch booked.

    Releases the holds whose time is over, too: what they kept goes back to its lots, or is gone where those have
    expired. A batch locks its wallets in key order and commits by itself; when this is interrupted, the batches
    before stay and the next run goes on. Several may run at once: wallets that somebody else holds are taken up last,
    and waited for then. Balances as they are read do not change: expired lots had stopped counting before. `wallets`
    leaves out all others.
    """
    using = using or router.db_for_write(Wallet)
    held: list[int] = []
    pks = _waiting(using, of_wallets(wallets), batch_size)
    while pks:
        yield _book(pks, using, held)
        if len(held) >= MAX_HELD:
            yield from _book_held(held, using, batch_size)
            held = []
        pks = _waiting(using, of_wallets(wallets) & Q(wallet__gt=pks[-1]), batch_size)
    yield from _book_held(held, using, batch_size)


def _book_held(held: list[int], using: str, batch_size: int) -> Iterator[Expired]:
    """Book what still waits in wallets that somebody held, once they are let go."""
    for start in range(0, len(held), batch_size):
        pks = _waiting(using, Q(Among("wallet", held[start : start + batch_size])), batch_size)
        if pks:
            yield _book(pks, using, None)


def _waiting(using: str, condition: Q, size: int) -> list[int]:
    """Return the first wallets, in key order, in which something waits to be booked."""
    now = timezone.now()
    found = {
        pk
        for rows in (Lot.objects.using(using).expired(now), _overdue(using, now))
        for pk in rows.filter(condition).order_by("wallet").values_list("wallet", flat=True).distinct()[:size]
    }
    return sorted(found)[:size]


def _book(pks: list[int], using: str, held: list[int] | None) -> Expired:
    """Book what has expired in wallets; those that somebody holds are put into `held`, or waited for without one."""
    with transaction.atomic(using=using):
        posts = lock_all(pks, using, skip_locked=held is not None)
        if held is not None:
            held += [pk for pk in pks if pk not in posts]
        for post in posts.values():
            post.book_expired()
        write(list(posts.values()), using)
    rows = [row for post in posts.values() for row in post.rows]
    return Expired(
        wallets=len({row.wallet_id for row in rows}),
        lots=len(rows),
        credits=-sum(row.amount for row in rows),
        holds=sum(len(post.holds.changed) for post in posts.values()),
    )


def _overdue(using: str, now: datetime.datetime) -> QuerySet[Hold]:
    return Hold.objects.using(using).filter(is_open=True, expires_at__lte=now)


def bring_forward(post: Posting, fulfillment: Fulfillment, moment: datetime.datetime) -> None:
    """Let all that `fulfillment` awarded expire at `moment`, now or later, at the latest; earlier expiries stay.

    Works under the wallet's lock, on the lots of this posting too. The rows keep the expiry that they were posted
    with; `fulfillment.credits_expire_at`, which the caller stores, tells the one that counts since.
    """
    lots = Lot.objects.using(post.wallet._state.db).filter(transaction__fulfillment=fulfillment.pk)
    lots.filter(Q(expires_at=None) | Q(expires_at__gt=moment)).update(expires_at=moment)
    for lot in post.new_lots:
        if lot.transaction.fulfillment_id == fulfillment.pk:
            lot.expires_at = min(filter(None, (lot.expires_at, moment)))

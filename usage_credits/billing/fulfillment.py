"""The job that awards due fulfillments, in batches: many workers share them, and one that fails stops no other."""

from __future__ import annotations

import datetime
import logging
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import compress
from operator import is_not
from typing import Any, NamedTuple

from django.db import connections, router, transaction
from django.db.models import Q
from django.utils import timezone

from usage_credits.billing.awards import announce_awards
from usage_credits.billing.manual_fulfillments import end_stopped
from usage_credits.billing.rollovers import are_capped, read_cycles
from usage_credits.billing.schedules import advance, awarded_dates, awards_due, record_failure
from usage_credits.exceptions import UsageCreditsError
from usage_credits.ledger.among import Among
from usage_credits.ledger.changes import Update, store
from usage_credits.ledger.compiled import fetch, fetch_values
from usage_credits.ledger.journal import lock_all, write
from usage_credits.ledger.posting import Posting
from usage_credits.ledger.wallet_ranges import WalletRange, of_wallets
from usage_credits.models import Fulfillment, Wallet
from usage_credits.models.fulfillment import FulfillmentQuerySet

logger = logging.getLogger("usage_credits")

MAX_HELD = 10_000
"""How many fulfillments of wallets that others hold are put off before they are waited for."""


@dataclass(frozen=True)
class Fulfilled:
    """What one batch came to, or would come to: the awards made and their credits, and what failed."""

    awarded: int = 0
    """Awards made; a fulfillment that is made up to for missed dates counts one for each."""
    credits: int = 0
    """The credits of these awards."""
    failed: int = 0
    """Fulfillments that stay due; their `last_error` says why."""
    tried: int = 0
    """Fulfillments that were due when their wallet was locked."""

    def __add__(self, other: Fulfilled) -> Fulfilled:
        return Fulfilled(
            self.awarded + other.awarded,
            self.credits + other.credits,
            self.failed + other.failed,
            self.tried + other.tried,
        )


class _Due(NamedTuple):
    """The place of a due fulfillment, in the order in which they are taken up."""

    date: datetime.datetime
    pk: int
    wallet_id: int


def count_due(*, wallets: WalletRange | None = None, using: str | None = None) -> int:
    """Return how many fulfillments are due now, in one statement."""
    return _due(using or router.db_for_read(Wallet), wallets).count()


def preview_due(
    *, limit: int | None = None, wallets: WalletRange | None = None, using: str | None = None
) -> Fulfilled:
    """Return what `fulfill_due` would come to now; locks nothing and writes nothing."""
    using = using or router.db_for_read(Wallet)
    now, total = timezone.now(), Fulfilled()
    for page in _pages(_due(using, wallets), limit):
        fulfillments = list(
            Fulfillment.objects.using(using).filter(pk__in=[due.pk for due in page]).select_related("wallet")
        )
        dates = awarded_dates(fulfillments, using)
        for fulfillment in fulfillments:
            total += _preview(fulfillment, dates[fulfillment.pk], now)
    return total


def fulfill_due(
    *,
    batch_size: int = 1_000,
    limit: int | None = None,
    ids: Collection[int] | None = None,
    wallets: WalletRange | None = None,
    using: str | None = None,
) -> Iterator[Fulfilled]:
    """Award what is due now, the longest due first, `batch_size` fulfillments at a time; yield what each batch did.

    A batch locks its wallets in key order and commits by itself; when this is interrupted, the batches before stay
    and the next run goes on. Wallets that another worker holds are taken up last, and waited for then. One that
    fails stays due and keeps the reason as `last_error`; it is not tried again in this run and stops no other.
    `limit` bounds how many are tried. At last, what no payment stands behind and whose stop has come is ended;
    not where `ids` says which fulfillments it is about. `wallets` leaves out all others.
    Raises what makes it impossible to keep the reason, such as a lost connection.
    """
    using = using or router.db_for_write(Wallet)
    due = _due(using, wallets)
    run = _Run(batch_size, limit, due if ids is None else due.filter(pk__in=ids), using)
    logger.info("Awarding due fulfillments: %d wait", due.count())
    started, total = time.monotonic(), Fulfilled()
    for batch in run.batches():
        total += batch
        yield batch
    ended = sum(end_stopped(batch_size=batch_size, wallets=wallets, using=using)) if ids is None else 0
    logger.info(
        "Awarded due fulfillments in %.1f seconds: awards %d, credits %d, failed %d, ended %d",
        time.monotonic() - started,
        total.awarded,
        total.credits,
        total.failed,
        ended,
    )


class _Run:
    """One run over what is due when it starts; what becomes due meanwhile is for the next one."""

    def __init__(self, batch_size: int, limit: int | None, due: FulfillmentQuerySet, using: str) -> None:
        self.using = using
        self._size = batch_size
        self._left = limit
        self._due = due
        self._held: list[int] = []

    def batches(self) -> Iterator[Fulfilled]:
        page = self._read(self._due)
        while page:
            yield self._fulfill(page, waits=False)
            if len(self._held) >= MAX_HELD:
                yield from self._take_up_held()
            page = self._read(_after(self._due, page[-1]))
        yield from self._take_up_held()

    def _take_up_held(self) -> Iterator[Fulfilled]:
        held, self._held = self._held, []
        for start in range(0, len(held), self._size):
            page = self._read(self._due.filter(pk__in=held[start : start + self._size]))
            if page:
                yield self._fulfill(page, waits=True)

    def _read(self, due: FulfillmentQuerySet) -> list[_Due]:
        return _read(due, self._size if self._left is None else min(self._size, self._left))

    def _fulfill(self, page: list[_Due], *, waits: bool) -> Fulfilled:
        try:
            done = self._award(page, waits=waits)
        except Exception:
            logger.exception("A batch of %d fulfillments failed: each is tried by itself", len(page))
            done = sum((self._fulfill_alone(due, waits=waits) for due in page), Fulfilled())
        if self._left is not None:
            self._left -= done.tried
        return done

    def _fulfill_alone(self, due: _Due, *, waits: bool) -> Fulfilled:
        try:
            return self._award([due], waits=waits)
        except Exception as problem:
            return self._record(due, problem)

    def _award(self, page: list[_Due], *, waits: bool) -> Fulfilled:
        """Award what of the page is still due once its wallets are locked, in one transaction."""
        with transaction.atomic(using=self.using):
            posts = lock_all(
                {due.wallet_id for due in page}, self.using, takes=are_capped(), skip_locked=not waits
            )
            # Read under the lock: another worker or a payment may have awarded them since.
            rows = Fulfillment.objects.filter(Among("pk", [due.pk for due in page if due.wallet_id in posts]))
            with connections[self.using].cursor() as cursor:
                found = fetch(rows.order_by("next_fulfillment_at", "pk"), cursor)
            fulfillments = [one for one in found if one.due_date(posts[one.wallet_id].now)]
            done = _advance(posts, fulfillments, self.using)
        self._held += [due.pk for due in page if due.wallet_id not in posts]
        return done

    def _record(self, due: _Due, problem: Exception) -> Fulfilled:
        """Keep an unexpected error as the reason for which a fulfillment stays due."""
        with transaction.atomic(using=self.using):
            posts = lock_all([due.wallet_id], self.using)
            fulfillment = Fulfillment.objects.using(self.using).get(pk=due.pk)
            post = posts[fulfillment.wallet_id]
            if fulfillment.due_date(post.now) is None:
                return Fulfilled()
            record_failure(post, fulfillment, problem)
            fulfillment.save(update_fields=["last_error"])
        return Fulfilled(failed=1, tried=1)


def _advance(posts: dict[int, Posting], fulfillments: list[Fulfillment], using: str) -> Fulfilled:
    """Award the due fulfillments of locked wallets and store all of it."""
    before = [list(vars(fulfillment).values()) for fulfillment in fulfillments]
    dates = awarded_dates(fulfillments, using)
    read_cycles(fulfillments)
    awards = []
    for fulfillment in fulfillments:
        awards += advance(posts[fulfillment.wallet_id], fulfillment, dates[fulfillment.pk])
    write(list(posts.values()), using)
    _store(fulfillments, before, using)
    for award in awards:
        announce_awards(posts[award.fulfillment.wallet_id].wallet, [award])
    return Fulfilled(
        awarded=len(awards),
        credits=sum(award.amount for award in awards),
        failed=sum(_is_due(fulfillment, posts) for fulfillment in fulfillments),
        tried=len(fulfillments),
    )


def _is_due(fulfillment: Fulfillment, posts: dict[int, Posting]) -> bool:
    return fulfillment.due_date(posts[fulfillment.wallet_id].now) is not None


def _store(fulfillments: list[Fulfillment], before: list[list[Any]], using: str) -> None:
    """Store the columns that changed in any of the fulfillments, whose values were `before`."""
    changed: set[str] = set()
    for fulfillment, was in zip(fulfillments, before, strict=True):
        row = vars(fulfillment)
        changed.update(compress(row, map(is_not, row.values(), was)))
    columns = [field.name for field in Fulfillment._meta.concrete_fields if field.attname in changed]
    with connections[using].cursor() as cursor:
        store([Update(fulfillments if columns else [], columns)], cursor)


def _preview(fulfillment: Fulfillment, awarded: set[datetime.datetime], now: datetime.datetime) -> Fulfilled:
    wallet = fulfillment.wallet
    # What the wallet owes, and what expired in it, changes nothing about the award.
    wallet.debt = wallet.claims = 0
    credits: list[int] = []
    failed = 0
    try:
        for award in awards_due(Posting(wallet, now, [], []), fulfillment, awarded):
            credits.append(award.amount)
    except UsageCreditsError:
        failed = 1
    return Fulfilled(len(credits), sum(credits), failed, 1)


def _due(using: str, wallets: WalletRange | None) -> FulfillmentQuerySet:
    due = Fulfillment.objects.using(using).due(timezone.now()).filter(of_wallets(wallets))
    return due.order_by("next_fulfillment_at", "pk")


def _after(due: FulfillmentQuerySet, last: _Due) -> FulfillmentQuerySet:
    """Keep what comes after `last`; what failed stays due before it and is not met again."""
    return due.filter(
        Q(next_fulfillment_at__gt=last.date) | Q(next_fulfillment_at=last.date, pk__gt=last.pk),
        next_fulfillment_at__gte=last.date,
    )


def _read(due: FulfillmentQuerySet, size: int) -> list[_Due]:
    places = due.values_list("next_fulfillment_at", "pk", "wallet")[:size]
    with connections[due.db].cursor() as cursor:
        return [_Due(*place) for place in fetch_values(places, cursor)]


def _pages(due: FulfillmentQuerySet, limit: int | None, size: int = 500) -> Iterator[list[_Due]]:
    page = _read(due, size if limit is None else min(size, limit))
    while page:
        yield page
        limit = None if limit is None else limit - len(page)
        page = _read(_after(due, page[-1]), size if limit is None else min(size, limit))

"""Fulfillments that no payment stands behind: started, brought up to the present, ended; under the wallet's lock."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import models, router, transaction
from django.db.models import Q
from django.utils import timezone

from usage_credits.billing.awards import Award, announce_awards
from usage_credits.billing.endings import end
from usage_credits.billing.schedules import advance, awarded_dates, awards_due
from usage_credits.exceptions import InvalidValue
from usage_credits.ledger.journal import lock_all, posting, write
from usage_credits.ledger.posting import Posting
from usage_credits.ledger.wallet_ranges import WalletRange, of_wallets
from usage_credits.ledger.wallets import find_wallet
from usage_credits.models import MANUAL_SOURCE, Fulfillment, Wallet

STOPPED = "stopped"
"""The reason of a stop that a caller asked for."""


@contextmanager
def manual_fulfillments(wallet: Wallet) -> Iterator[ManualFulfillments]:
    """Lock `wallet`, yield its manual fulfillments, store what was touched and announce what was awarded.

    Commits by itself, or with the caller's transaction. A UsageCreditsError inside the block undoes all of it and
    leaves the caller's transaction usable.
    """
    with transaction.atomic(using=router.db_for_write(Wallet, instance=wallet)):
        with posting(wallet, takes=True) as post:
            manual = ManualFulfillments(post)
            yield manual
            for fulfillment in manual.touched.values():
                fulfillment.save()
        announce_awards(post.wallet, manual.awards)


class ManualFulfillments:
    """The manual fulfillments of one locked wallet, on its posting."""

    def __init__(self, post: Posting) -> None:
        self.post = post
        self.touched: dict[int, Fulfillment] = {}
        self.awards: list[Award] = []

    def waiting(self, **conditions: Any) -> list[Fulfillment]:
        """Return those that were not ended, oldest first, as they are under the lock. One statement."""
        return list(self._all().filter(next_fulfillment_at__isnull=False, **conditions).order_by("pk"))

    def find(self, source_id: str) -> Fulfillment | None:
        """Return the one of this source id, whether or not it has ended."""
        return self._all().filter(source_id=source_id).first()

    def start(
        self, *, starts_at: datetime.datetime | None, ends_at: datetime.datetime | None, **columns: Any
    ) -> Fulfillment:
        """Start one at `starts_at` (default: now) and award what is due by now, all of it as one award.

        Raises InvalidValue for an end that is not to come after the start, UsageCreditsError for what the ledger
        refuses.
        """
        starts_at = starts_at or self.post.now
        if ends_at is not None and ends_at <= max(starts_at, self.post.now):
            raise InvalidValue.of("ends_at", ends_at, "a moment to come and after starts_at, or None")
        fulfillment = Fulfillment.objects.using(self.post.wallet._state.db).create(
            wallet=self.post.wallet,
            source=MANUAL_SOURCE,
            anchor=starts_at,
            next_fulfillment_at=starts_at,
            stops_at=ends_at,
            stop_reason=STOPPED if ends_at else "",
            created_at=self.post.now,
            **columns,
        )
        awards = list(awards_due(self.post, fulfillment, set()))
        if awards:
            rows = [row for award in awards for row in award.rows]
            self.awards.append(Award(fulfillment, rows, awards[0].reason, awards[0].details))
            self.touched[fulfillment.pk] = fulfillment
        return fulfillment

    def is_running(self, fulfillment: Fulfillment) -> bool:
        """Tell whether it runs, or waits for its start: its stop has not come."""
        return fulfillment.stops_at is None or fulfillment.stops_at > self.post.now

    def bring_up(self, fulfillment: Fulfillment) -> None:
        """Award what has come due, and end it where its stop has come; what cannot be awarded stays due."""
        self.touched[fulfillment.pk] = fulfillment
        dates = awarded_dates([fulfillment], self.post.wallet._state.db)[fulfillment.pk]
        self.awards += advance(self.post, fulfillment, dates)
        self._end_if_stopped(fulfillment)

    def stop(self, fulfillment: Fulfillment, at: datetime.datetime | None) -> None:
        """Let it stop at `at`, or now where that is None or has passed."""
        fulfillment.stops_at = max(at or self.post.now, self.post.now)
        fulfillment.stop_reason = STOPPED
        self._end_if_stopped(fulfillment)

    def _end_if_stopped(self, fulfillment: Fulfillment) -> None:
        if (
            fulfillment.stops_at is not None
            and not self.is_running(fulfillment)
            and fulfillment.due_date(self.post.now) is None
        ):
            end(self.post, fulfillment, fulfillment.stops_at)

    def _all(self) -> models.QuerySet[Fulfillment]:
        using = self.post.wallet._state.db
        return Fulfillment.objects.using(using).filter(wallet=self.post.wallet, source=MANUAL_SOURCE)


def end_stopped(
    *, batch_size: int = 1_000, wallets: WalletRange | None = None, using: str | None = None
) -> Iterator[int]:
    """End the manual fulfillments whose stop has come, `batch_size` at a time, yielding how many each batch ended.

    A batch locks its wallets in key order and commits by itself. What is still due is left for those who award it.
    `wallets` leaves out all others.
    """
    using = using or router.db_for_write(Wallet)
    later = Q()
    while True:
        stopped = Fulfillment.objects.using(using).to_end(timezone.now()).filter(of_wallets(wallets), later)
        # In the order of the index on stops: by primary key all fulfillments would be gone through.
        page = list(stopped.order_by("stops_at", "pk").values_list("stops_at", "pk", "wallet")[:batch_size])
        if not page:
            return
        yield _end({pk: wallet for _, pk, wallet in page}, using)
        stop, last, _ = page[-1]
        later = Q(stops_at__gte=stop) & (Q(stops_at__gt=stop) | Q(pk__gt=last))


def _end(page: dict[int, int], using: str) -> int:
    with transaction.atomic(using=using):
        posts = lock_all(set(page.values()), using)
        now = min((post.now for post in posts.values()), default=timezone.now())
        # Read under the lock: a stop may have been moved since.
        stopped = list(Fulfillment.objects.using(using).to_end(now).filter(pk__in=page))
        for fulfillment in stopped:
            if fulfillment.stops_at is not None:
                end(posts[fulfillment.wallet_id], fulfillment, fulfillment.stops_at)
                fulfillment.save()
        write(list(posts.values()), using)
    return len(stopped)


def wallet_of(owner: models.Model) -> Wallet | None:
    """Return the owner's default wallet or None; creates nothing. Raises InvalidValue for an unsaved owner."""
    if owner._state.adding or owner.pk is None:
        raise InvalidValue(
            "owner", f"an unsaved {type(owner).__name__} has no plans or grants; save it first."
        )
    return find_wallet(owner)

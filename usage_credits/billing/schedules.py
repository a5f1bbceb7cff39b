"""The one code path that awards cycles: every grid date of a fulfillment once, however late.

It works on a locked wallet's posting and on the fulfillment in memory; whoever calls it saves the fulfillment. Jobs,
webhooks and plans without payments all come through here.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Iterator

from usage_credits import conf
from usage_credits.billing.awards import CYCLE, FIRST_AWARD, Award, award_bonus, award_cycle, count_award
from usage_credits.billing.cycles import Cycle, cycle_of, plan_of
from usage_credits.billing.plan_changes import drop_pending, take_over
from usage_credits.billing.rollovers import forfeit_excess
from usage_credits.exceptions import UsageCreditsError
from usage_credits.ledger.among import Among
from usage_credits.ledger.events import announce
from usage_credits.ledger.posting import Posting
from usage_credits.models import MANUAL_SOURCE, Fulfillment, FulfillmentKind, Transaction

logger = logging.getLogger("usage_credits")


def advance(
    post: Posting,
    fulfillment: Fulfillment,
    awarded: set[datetime.datetime],
    *,
    before: datetime.datetime | None = None,
) -> list[Award]:
    """Award the grid dates that have come and lie before the fulfillment's stop, and return the awards.

    Where unused credits are kept every missed date is made up for; where they expire, only the running period's
    (DEC-15). `awarded` holds the grid dates that have their award already. `before` leaves out that moment and what
    comes after it. What cannot be awarded (its plan has gone from settings) is kept as `last_error`, announced and
    still due.
    """
    awards: list[Award] = []
    try:
        for award in awards_due(post, fulfillment, awarded, before=before):
            awards.append(award)
    except UsageCreditsError as problem:
        record_failure(post, fulfillment, problem)
    return awards


def awards_due(
    post: Posting,
    fulfillment: Fulfillment,
    awarded: set[datetime.datetime],
    *,
    before: datetime.datetime | None = None,
) -> Iterator[Award]:
    """Award one grid date after the other, as `advance` does; raise UsageCreditsError for what cannot be awarded."""
    last = post.now if before is None else min(post.now, before - datetime.timedelta(microseconds=1))
    while (due := fulfillment.due_date(last)) is not None:
        apply_pending(fulfillment, due)
        cycle = cycle_of(fulfillment)
        date, next_date = _date_to_award(fulfillment, cycle, due, last)
        if date in awarded:
            # Before it was certain that the period is paid, or on another grid.
            forfeit_excess(post, fulfillment, date)
            count_award(post, fulfillment, cycle.amount, date, next_date)
            continue
        if next_date is not None and next_date <= post.now and not cycle.rolls_over:
            fulfillment.next_fulfillment_at = next_date
            continue
        forfeit_excess(post, fulfillment, date)
        award = _award(post, fulfillment, cycle, date, next_date)
        awarded.add(date)
        yield award


def awarded_dates(
    fulfillments: list[Fulfillment], using: str | None, *, since: datetime.datetime | None = None
) -> dict[int, set[datetime.datetime]]:
    """Return the grid dates not yet passed over that were awarded already, by fulfillment; one statement.

    `since` asks for those from then on, too.
    """
    awarded: dict[int, set[datetime.datetime]] = {fulfillment.pk: set() for fulfillment in fulfillments}
    moments = [since, *(one.next_fulfillment_at for one in fulfillments)]
    dates = [moment for moment in moments if moment is not None]
    if dates:
        rows = Transaction.objects.using(using).filter(
            Among("fulfillment", awarded), grid_date__gte=min(dates)
        )
        for fulfillment_id, date in rows.values_list("fulfillment", "grid_date"):
            if date is not None:
                awarded[fulfillment_id].add(date)
    return awarded


def apply_pending(fulfillment: Fulfillment, date: datetime.datetime) -> None:
    """Make the pending plan the current one if its time has come by `date`; drop one that has gone from settings."""
    if not fulfillment.pending_plan or (fulfillment.pending_from and date < fulfillment.pending_from):
        return
    plan = conf.find_subscription_plan(fulfillment.pending_plan)
    if plan is None:
        drop_pending(fulfillment)
    else:
        take_over(fulfillment, plan, fulfillment.seats, at=date)


def record_failure(post: Posting, fulfillment: Fulfillment, problem: Exception) -> None:
    """Keep why an award failed on the fulfillment, log it, and announce it where it is news."""
    is_refused = isinstance(problem, UsageCreditsError)
    detail = str(problem) if is_refused else f"{type(problem).__name__}: {problem}"
    logger.error(
        "The fulfillment %s was not awarded: %s",
        fulfillment.pk,
        detail,
        exc_info=None if is_refused else problem,
    )
    if fulfillment.last_error != detail:
        fulfillment.last_error = detail
        announce(
            "fulfillment_failed",
            post.wallet,
            fulfillment=fulfillment,
            reason="refused" if is_refused else "error",
            metadata={"detail": detail},
        )


def _award(
    post: Posting,
    fulfillment: Fulfillment,
    cycle: Cycle,
    date: datetime.datetime,
    next_date: datetime.datetime | None,
) -> Award:
    """Award one grid date; a plan that no payment stands behind brings its signup bonus with the first."""
    is_first = fulfillment.source == MANUAL_SOURCE and not fulfillment.credits_last_awarded
    if not is_first or fulfillment.kind != FulfillmentKind.SUBSCRIPTION:
        return Award(fulfillment, [award_cycle(post, fulfillment, cycle, date, next_date)], CYCLE)
    bonus = award_bonus(post, fulfillment, plan_of(fulfillment))
    award = Award(
        fulfillment,
        [*bonus, award_cycle(post, fulfillment, cycle, date, next_date)],
        FIRST_AWARD,
        {"is_reactivation": False},
    )
    fulfillment.credits_last_awarded = award.amount
    return award


def _date_to_award(
    fulfillment: Fulfillment, cycle: Cycle, date: datetime.datetime, last: datetime.datetime
) -> tuple[datetime.datetime, datetime.datetime | None]:
    """Return the date that is awarded next and the one after it; missed dates are passed over where credits expire."""
    grid = fulfillment.grid
    if grid is None:
        return date, None
    fulfillment.anchor = grid.anchor
    if cycle.rolls_over:
        return date, grid.first_after(date)
    stop = fulfillment.stops_at
    latest = last if stop is None else min(last, stop - datetime.timedelta(microseconds=1))
    if fulfillment.pending_plan and fulfillment.pending_from is not None:
        # The dates from there on are the pending plan's.
        latest = min(latest, fulfillment.pending_from - datetime.timedelta(microseconds=1))
    current, following = grid.around(latest)
    return (date, grid.first_after(date)) if current is None or current < date else (current, following)

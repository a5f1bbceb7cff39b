"""What a change of plan does: a larger plan awards at once, a smaller one waits for the end of the period.

Works on a locked wallet's posting and on the fulfillment in memory; whoever calls it saves the fulfillment.
"""

from __future__ import annotations

import datetime
import logging

from usage_credits import conf
from usage_credits.billing.awards import Award, award_seats, award_upgrade, is_used, upgrade_key
from usage_credits.billing.cycles import amount_of, as_sold, cycle_of
from usage_credits.dsl.periods import Period
from usage_credits.dsl.plans import SubscriptionPlan
from usage_credits.ledger.posting import Posting
from usage_credits.models import Fulfillment

logger = logging.getLogger("usage_credits")

UP, LEVEL, DOWN = 1, 0, -1


def change_plan(
    post: Posting,
    fulfillment: Fulfillment,
    plan: SubscriptionPlan,
    moment: datetime.datetime,
    *,
    seats: int,
    period_ends_at: datetime.datetime | None,
) -> list[Award]:
    """Change to `plan` with `seats` at `moment` and return what that awards.

    A larger plan, by credits per time, takes over at once: a whole cycle of it, no signup bonus, and a new grid from
    `moment`; a cycle of the same plan is awarded once in a paid period. A smaller one becomes the pending plan from
    `period_ends_at`. One of the same size takes over at once and awards nothing; its period counts from the next date.
    The current plan, given again, clears what is pending. The comparison is with the current plan, never the pending.
    """
    if plan.name == fulfillment.plan_name:
        clear_pending(fulfillment)
        return change_seats(post, fulfillment, seats)
    direction = compare(fulfillment, plan, seats)
    if direction == DOWN:
        fulfillment.pending_plan = plan.name
        fulfillment.pending_from = max(period_ends_at or moment, moment)
        return change_seats(post, fulfillment, seats)
    clear_pending(fulfillment)
    if direction == LEVEL:
        take_over(fulfillment, plan, seats, at=fulfillment.next_fulfillment_at)
        return []
    return _upgrade(post, fulfillment, plan, moment, seats)


def change_seats(post: Posting, fulfillment: Fulfillment, seats: int) -> list[Award]:
    """Set the number of seats: more of them award their share of the running period, fewer count from the next.

    While a plan is pending, more of them are seats of that plan only.
    """
    date = fulfillment.next_fulfillment_at
    if fulfillment.pending_plan:
        is_next = date is None or fulfillment.pending_from is None or fulfillment.pending_from <= date
        fulfillment.seats = seats if is_next else min(seats, fulfillment.seats)
        return []
    fulfillment.seats = seats
    plan = conf.find_subscription_plan(fulfillment.plan_name)
    added = seats - fulfillment.seats_awarded
    if plan is None or not plan.per_seat or added <= 0 or fulfillment.anchor is None or date is None:
        return []
    if not plan.rolls_over and date <= post.now:
        return []
    row = award_seats(post, fulfillment, plan, added)
    fulfillment.seats_awarded = seats
    return [Award(fulfillment, [row], str(row.metadata["reason"]))]


def compare(fulfillment: Fulfillment, plan: SubscriptionPlan, seats: int) -> int:
    """Return UP, LEVEL or DOWN: whether `plan` gives more credits per time than the fulfillment's plan, as much, less.

    A current plan that has gone from settings counts as it was sold, and one with seats for the most that the running
    period was awarded for.
    """
    current = conf.find_subscription_plan(fulfillment.plan_name)
    sold = as_sold(current) if current else fulfillment.as_sold
    period = Period.parse(sold["period"]) if sold.get("period") else plan.period
    seats_now = max(fulfillment.seats_awarded, 0 if fulfillment.pending_plan else fulfillment.seats)
    amount: int = sold.get("credits", 0) * (seats_now if sold.get("per_seat") else 1)
    if period == plan.period:
        before, after = amount, amount_of(plan, seats)
    else:
        # Amount per length, compared crosswise in whole microseconds.
        before = amount * _microseconds(plan.period)
        after = amount_of(plan, seats) * _microseconds(period)
    return (after > before) - (after < before)


def take_over(
    fulfillment: Fulfillment, plan: SubscriptionPlan, seats: int, *, at: datetime.datetime | None
) -> None:
    """Make `plan` the current one; where its period is another one, the grid counts from `at`."""
    fulfillment.plan_name, fulfillment.seats, fulfillment.as_sold = plan.name, seats, as_sold(plan)
    if fulfillment.period != plan.period.iso:
        fulfillment.period = plan.period.iso
        start_grid(fulfillment, at)
    clear_pending(fulfillment)


def restart(fulfillment: Fulfillment, plan: SubscriptionPlan, seats: int, at: datetime.datetime) -> None:
    """Make `plan` the current one on a new grid whose first date, not awarded yet, is `at`."""
    take_over(fulfillment, plan, seats, at=at)
    start_grid(fulfillment, at)


def start_grid(fulfillment: Fulfillment, at: datetime.datetime | None) -> None:
    """Count grid dates from `at`, the first of them, which is not awarded yet whatever was awarded lately."""
    fulfillment.anchor = fulfillment.next_fulfillment_at = at
    fulfillment.last_fulfilled_at = None


def _upgrade(
    post: Posting, fulfillment: Fulfillment, plan: SubscriptionPlan, moment: datetime.datetime, seats: int
) -> list[Award]:
    key = upgrade_key(fulfillment, plan.name)
    if is_used(post, key):
        take_over(fulfillment, plan, seats, at=fulfillment.next_fulfillment_at)
        return []
    restart(fulfillment, plan, seats, moment)
    next_date = plan.period.from_anchor(moment, 1)
    if next_date <= post.now and not plan.rolls_over:
        # Seen so late that its whole period is over: the dates after it are awarded as usual.
        fulfillment.next_fulfillment_at = next_date
        return []
    row = award_upgrade(post, fulfillment, cycle_of(fulfillment), moment, next_date)
    return [Award(fulfillment, [row], str(row.metadata["reason"]))]


def drop_pending(fulfillment: Fulfillment) -> None:
    """Give up a pending plan that has gone from settings; the current plan stays."""
    if fulfillment.pending_plan:
        logger.error(
            "The fulfillment %s stays with the plan %r: its pending plan %r has gone from settings",
            fulfillment.pk,
            fulfillment.plan_name,
            fulfillment.pending_plan,
        )
    clear_pending(fulfillment)


def clear_pending(fulfillment: Fulfillment) -> None:
    """Forget the pending plan."""
    fulfillment.pending_plan, fulfillment.pending_from = "", None


def _microseconds(period: Period) -> int:
    length = period.approximate_length
    return (length.days * 86_400 + length.seconds) * 1_000_000 + length.microseconds

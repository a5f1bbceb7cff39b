"""Foresee what a fulfillment is going to award; writes nothing."""

from __future__ import annotations

import copy
import datetime
from typing import NamedTuple

from usage_credits import conf
from usage_credits.billing.cycles import cycle_of
from usage_credits.billing.schedules import apply_pending
from usage_credits.exceptions import InvalidOperation
from usage_credits.models import Fulfillment


class Coming(NamedTuple):
    """A grid date ahead, the plan or pack that it awards, and how many credits; None where settings cannot tell."""

    date: datetime.datetime
    name: str
    credits: int | None


def coming_dates(fulfillment: Fulfillment, count: int = 3) -> list[Coming]:
    """Return the next grid dates before the stop, the pending plan's from when it takes over; no statements.

    The first may be overdue.
    """
    ahead = copy.copy(fulfillment)
    coming: list[Coming] = []
    date = ahead.next_fulfillment_at
    while date is not None and len(coming) < count and (ahead.stops_at is None or date < ahead.stops_at):
        ahead.next_fulfillment_at = date
        if conf.find_subscription_plan(ahead.pending_plan):
            apply_pending(ahead, date)
        coming.append(Coming(date, ahead.plan_name or ahead.pack_name, _credits(ahead)))
        date = ahead.grid.first_after(date) if ahead.grid else None
    return coming


def next_award(fulfillment: Fulfillment) -> Coming | None:
    """Return the next grid date, also one that waits for its payment; None before a stop that has a reason."""
    ahead = copy.copy(fulfillment)
    if not ahead.stop_reason:
        # The end of what is paid: the next payment moves it on.
        ahead.stops_at = None
    return next(iter(coming_dates(ahead, 1)), None)


def _credits(fulfillment: Fulfillment) -> int | None:
    try:
        return cycle_of(fulfillment).amount
    except InvalidOperation:
        return None

"""Tell which plans a user has, and what comes of them next."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from django.db.models import Q
from django.utils import timezone

from studio.models import User
from usage_credits import find_subscription_plan
from usage_credits.models import Fulfillment

ENDINGS = ("canceled", "stopped")
"""The reasons of stops that are final; any other, such as a payment that failed, may be mended."""


@dataclass(frozen=True)
class RunningPlan:
    """A plan that has not ended, as a page shows it; moments are None where nothing comes."""

    name: str
    credits: int
    next_at: datetime.datetime | None
    ends_at: datetime.datetime | None
    trouble: str
    is_paid: bool


def running_plans(user: User) -> list[RunningPlan]:
    """Return the user's plans that have not ended, the oldest first."""
    wallet = user.credit_wallet
    if wallet is None:
        return []
    ended = Q(stop_reason__in=ENDINGS, stops_at__lte=timezone.now())
    found = wallet.fulfillments.filter(kind="subscription").exclude(ended).order_by("pk")
    return [_shown(fulfillment) for fulfillment in found]


def _shown(fulfillment: Fulfillment) -> RunningPlan:
    plan = find_subscription_plan(fulfillment.plan_name)
    stops_at, next_at = fulfillment.stops_at, fulfillment.next_fulfillment_at
    # Without a reason the stop is the end of what is paid: the next payment moves it on.
    if fulfillment.stop_reason and next_at is not None and stops_at is not None and next_at >= stops_at:
        next_at = None
    is_ending = fulfillment.stop_reason in ENDINGS
    return RunningPlan(
        name=f"{fulfillment.plan_name.title()} plan",
        credits=plan.amount if plan else 0,
        next_at=next_at,
        ends_at=stops_at if is_ending else None,
        trouble="" if is_ending else fulfillment.stop_reason.replace("_", " "),
        is_paid=fulfillment.source == "stripe",
    )

"""Tell which plans a wallet has, and what comes of them next."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Final

from django.db import router
from django.db.models import Q
from django.utils import timezone

from usage_credits.billing.forecasts import next_award
from usage_credits.billing.manual_fulfillments import STOPPED
from usage_credits.billing.stops import CANCELED
from usage_credits.models import MANUAL_SOURCE, Fulfillment, FulfillmentKind, Wallet

ENDINGS: Final = (CANCELED, STOPPED)
"""The reasons of stops that are final; any other, such as a payment that failed, may be mended."""


@dataclass(frozen=True)
class RunningPlan:
    """A plan that has not ended; moments are None where nothing comes.

    `next_at` is when the next credits come; those of a plan that is paid come once its next payment is made.
    `next_credits` is None where nobody can tell. `trouble` is the reason of a stop that may be mended: "past_due".
    """

    name: str
    seats: int
    is_paid: bool
    next_at: datetime.datetime | None
    next_credits: int | None
    ends_at: datetime.datetime | None
    trouble: str


def running_plans(wallet: Wallet | None) -> list[RunningPlan]:
    """Return the plans of a wallet that have not ended, the oldest first; of no wallet, none. One statement."""
    if wallet is None:
        return []
    ended = Q(stop_reason__in=ENDINGS, stops_at__lte=timezone.now())
    plans = Fulfillment.objects.using(router.db_for_read(Wallet, instance=wallet)).filter(
        wallet=wallet, kind=FulfillmentKind.SUBSCRIPTION
    )
    return [_running(plan) for plan in plans.exclude(ended).order_by("pk")]


def _running(fulfillment: Fulfillment) -> RunningPlan:
    coming = next_award(fulfillment)
    is_ending = fulfillment.stop_reason in ENDINGS
    return RunningPlan(
        name=fulfillment.plan_name,
        seats=fulfillment.seats,
        is_paid=fulfillment.source != MANUAL_SOURCE,
        next_at=coming and coming.date,
        next_credits=coming and coming.credits,
        ends_at=fulfillment.stops_at if is_ending else None,
        trouble="" if is_ending else fulfillment.stop_reason,
    )

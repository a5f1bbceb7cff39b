"""When the awards of a subscription stop, and why; when changes of it wait."""

from __future__ import annotations

import datetime

from usage_credits.billing.subscription_reports import Subscription
from usage_credits.models import Fulfillment

CANCELED = "canceled"
NO_CREDITS = "plan_without_credits"
PAUSED = "paused"

LEFT_FOR = "left_for"
"""The key of metadata that names the price without credits for which the plan was left."""


def set_stop(fulfillment: Fulfillment, subscription: Subscription, paused_at: datetime.datetime) -> None:
    """Say when awards stop: at the end of what is paid, or before it where the subscription ends or rests.

    `paused_at` is since when it rests, if it does. Stopping does not depend on what settings hold.
    """
    fulfillment.stops_at, fulfillment.stop_reason = fulfillment.paid_through, ""
    if LEFT_FOR in fulfillment.metadata:
        fulfillment.stop_reason = NO_CREDITS
    elif subscription.is_unpaid:
        fulfillment.stop_reason = subscription.status
    for moment, reason in (
        (paused_at if subscription.is_paused else None, PAUSED),
        (subscription.ended_at or subscription.ends_at, CANCELED),
    ):
        if moment is not None and (fulfillment.stops_at is None or moment <= fulfillment.stops_at):
            fulfillment.stops_at, fulfillment.stop_reason = moment, reason
    if subscription.ended_at is not None:
        fulfillment.stop_reason = CANCELED


def is_deferred(moment: datetime.datetime, subscription: Subscription, paused_at: datetime.datetime) -> bool:
    """Tell whether a change at `moment` waits: for a payment, for the end of a rest, after the end for ever."""
    if subscription.ended_at is not None:
        return moment >= subscription.ended_at
    if subscription.provisional is not None and moment >= subscription.provisional.starts_at:
        return True
    return subscription.is_unpaid or (subscription.is_paused and moment >= paused_at)

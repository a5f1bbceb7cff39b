"""Foresee what happens to a wallet by itself: credits that come, expire, or are let go by holds."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Final

from django.db import models, router
from django.db.models import Q, Sum
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from usage_credits.billing.forecasts import coming_dates, next_award
from usage_credits.models import Fulfillment, Hold, Lot, Wallet

MOST: Final = 10
"""How many events are foreseen when nothing else is asked for."""


class Kind(models.TextChoices):
    AWARD = "award", _("credits come")
    EXPIRY = "expiry", _("credits expire")
    HOLD_END = "hold_end", _("a hold ends")
    END = "end", _("a plan ends")


@dataclass(frozen=True)
class ComingEvent:
    """One thing ahead. `credits` is signed, by how much the balance (of a hold: what can be spent) changes; None where
    nothing changes or nobody can tell. `name` is the plan, pack or operation, where there is one.
    """

    moment: datetime.datetime
    kind: Kind
    credits: int | None
    name: str = ""


def coming_events(wallet: Wallet, limit: int = MOST) -> list[ComingEvent]:
    """Return the next `limit` events of a wallet, the soonest first, as they are foreseen now.

    An award that is overdue comes first. Three statements; writes nothing.
    """
    using = router.db_for_read(Wallet, instance=wallet)
    found = [
        *_expiries(wallet, limit, using),
        *_hold_ends(wallet, limit, using),
        *_of_fulfillments(wallet, limit, using),
    ]
    return sorted(found, key=lambda event: event.moment)[:limit]


def _expiries(wallet: Wallet, limit: int, using: str) -> list[ComingEvent]:
    lots = Lot.objects.using(using).filter(wallet=wallet, expires_at__gt=timezone.now()).open()
    totals = lots.order_by("expires_at").values_list("expires_at").annotate(left=Sum("remaining"))[:limit]
    return [ComingEvent(moment, Kind.EXPIRY, -left) for moment, left in totals if moment is not None]


def _hold_ends(wallet: Wallet, limit: int, using: str) -> list[ComingEvent]:
    holds = Hold.objects.using(using).filter(wallet=wallet, is_open=True, expires_at__gt=timezone.now())
    soonest = holds.order_by("expires_at", "pk")[:limit]
    return [ComingEvent(hold.expires_at, Kind.HOLD_END, hold.left, hold.operation or "") for hold in soonest]


def _of_fulfillments(wallet: Wallet, limit: int, using: str) -> list[ComingEvent]:
    runs = Q(next_fulfillment_at__isnull=False) | Q(stops_at__gt=timezone.now())
    found: list[ComingEvent] = []
    for fulfillment in Fulfillment.objects.using(using).filter(runs, wallet=wallet).order_by("pk"):
        # A subscription that goes on is paid for no longer than its period: only its renewal is foreseen.
        awards = coming_dates(fulfillment, limit) or filter(None, [next_award(fulfillment)])
        found += [ComingEvent(date, Kind.AWARD, credits, name) for date, name, credits in awards]
        if fulfillment.stop_reason and fulfillment.stops_at and fulfillment.stops_at > timezone.now():
            name = fulfillment.plan_name or fulfillment.pack_name
            found.append(ComingEvent(fulfillment.stops_at, Kind.END, None, name))
    return found

"""Time that stands still until a test moves it, for the project and a fake Stripe alike."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from io import StringIO
from typing import TYPE_CHECKING, TypedDict, Unpack

import time_machine
from dateutil.relativedelta import relativedelta
from django.core.management import call_command
from django.db import router
from django.db.models import Min
from django.utils import timezone

from usage_credits.models import Fulfillment, Lot, Wallet
from usage_credits.values import check_moment

if TYPE_CHECKING:
    from usage_credits.testing.fake_stripe import FakeStripe


class Span(TypedDict, total=False):
    """A length of time; a month ends on its own last day: a month after January 31 is February 28."""

    years: int
    months: int
    weeks: float
    days: float
    hours: float
    minutes: float
    seconds: float


class StoppedClock:
    """The time of project and fake Stripe; get one from the fixture `clock` or from `stop_clock`.

    It moves forward only. A fake Stripe in use does what has become due by the new time, and its events are delivered:
    nothing else runs by itself. Raises InvalidValue for a moment that is not aware, ValueError for one in the past,
    AssertionError for an event that is not answered 2xx.
    """

    def __init__(self, traveller: time_machine.Traveller) -> None:
        self._traveller = traveller

    @property
    def now(self) -> datetime:
        """Return the present time, in UTC."""
        return timezone.now()

    def advance(self, *, deliver: bool = True, **span: Unpack[Span]) -> None:
        """Move forward at once, by `days=…`, `months=…`; without `deliver`, events wait for the test."""
        self.move_to(self._after(span), deliver=deliver)

    def move_to(self, moment: datetime | date, *, deliver: bool = True) -> None:
        """Move forward at once to an aware datetime, or to midnight UTC of a date."""
        self._traveller.move_to(self._to_come(moment), tick=False)
        self._let_stripe_catch_up(deliver=deliver)

    def run_jobs(self) -> None:
        """Run what a project runs from cron, `fulfill_credits` and `expire_credits`, as of now.

        Raises CommandError where something due could not be awarded.
        """
        call_command("fulfill_credits", stdout=StringIO(), stderr=StringIO())
        call_command("expire_credits", stdout=StringIO(), stderr=StringIO())

    def travel(self, **span: Unpack[Span]) -> None:
        """Live through `days=…`, `months=…`: whenever something is due, deliver what Stripe tells and run the jobs.

        It stops at what Stripe does by itself (renewals, ends of trials and periods), at grid dates, stops and
        expiries, each at its own moment and in order.
        """
        self.travel_to(self._after(span))

    def travel_to(self, moment: datetime | date) -> None:
        """Live through the time until an aware datetime, or midnight UTC of a date; see `travel`."""
        until = self._to_come(moment)
        self._stop_at(self.now)
        while (due := self._next_due()) is not None and due < until:
            self._stop_at(due)
        self._stop_at(until)

    def _stop_at(self, moment: datetime) -> None:
        self.move_to(moment)
        self.run_jobs()

    def _after(self, span: Span) -> datetime:
        if unknown := span.keys() - Span.__annotations__.keys():
            # relativedelta would take "day" for a day of the month.
            raise TypeError(f"got {', '.join(sorted(unknown))}, allowed is {', '.join(Span.__annotations__)}")
        return self.now + relativedelta(**span)  # type: ignore[arg-type]

    def _to_come(self, moment: datetime | date) -> datetime:
        checked = check_moment(moment, "moment")
        if checked is None or checked < self.now:
            raise ValueError(f"The clock only moves forward: got {moment}, it is {self.now}.")
        return checked.astimezone(UTC)

    def _let_stripe_catch_up(self, *, deliver: bool) -> None:
        fake = _fake_in_use()
        if fake is None:
            return
        fake.catch_up()
        if deliver:
            from usage_credits.testing.stripe_world import deliver_all

            deliver_all(fake)

    def _next_due(self) -> datetime | None:
        """Return the next moment to come at which something is due."""
        using, now = router.db_for_write(Wallet), self.now
        fulfillments = Fulfillment.objects.using(using)
        moments = [
            fulfillments.filter(next_fulfillment_at__gt=now).aggregate(at=Min("next_fulfillment_at"))["at"],
            fulfillments.filter(stops_at__gt=now).aggregate(at=Min("stops_at"))["at"],
            Lot.objects.using(using).open().filter(expires_at__gt=now).aggregate(at=Min("expires_at"))["at"],
        ]
        fake = _fake_in_use()
        if fake is not None and (at_stripe := fake.next_due()) is not None:
            # The time at the fake may have been moved ahead.
            moments.append(now + (at_stripe - fake.now))
        return min((moment for moment in moments if moment is not None and moment > now), default=None)


@contextmanager
def stop_clock(at: datetime | None = None) -> Iterator[StoppedClock]:
    """Stop time at `at`, an aware datetime, the present when left out, and yield the clock that moves it."""
    start = check_moment(at, "at") or timezone.now()
    with time_machine.travel(start.astimezone(UTC), tick=False) as traveller:
        yield StoppedClock(traveller)


def _fake_in_use() -> FakeStripe | None:
    """Return the fake that stripe-python talks to; None where it talks to another, or is not installed."""
    if "usage_credits.testing.fake_stripe.client" not in sys.modules:
        return None
    from usage_credits.testing.fake_stripe.client import fake_in_use

    return fake_in_use()

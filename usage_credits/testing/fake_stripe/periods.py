"""When the periods of a subscription begin and end: calendar steps from its anchor."""

from __future__ import annotations

from datetime import UTC, datetime

from dateutil.relativedelta import relativedelta

from usage_credits.testing.fake_stripe.store import Payload

DAY = 24 * 60 * 60


def next_boundary(anchor: int, recurring: Payload, after: int) -> int:
    """Return the first boundary after a moment; an anchor on the 31st gives the last day of shorter months."""
    number = 0
    while _boundary(anchor, recurring, number) <= after:
        number += 1
    return _boundary(anchor, recurring, number)


def later(moment: int, by: relativedelta) -> int:
    """Return the moment that is later by steps of the calendar."""
    return int((datetime.fromtimestamp(moment, UTC) + by).timestamp())


def _boundary(anchor: int, recurring: Payload, number: int) -> int:
    return later(anchor, _STEPS[recurring["interval"]] * (number * recurring["interval_count"]))


_STEPS = {
    "day": relativedelta(days=1),
    "week": relativedelta(weeks=1),
    "month": relativedelta(months=1),
    "year": relativedelta(years=1),
}

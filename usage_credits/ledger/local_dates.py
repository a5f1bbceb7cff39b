"""Days and months of the current time zone, as reports and statements take them."""

from __future__ import annotations

import datetime

from django.utils import timezone

from usage_credits.exceptions import InvalidValue


def month_of(day: object, field: str = "month") -> tuple[datetime.datetime, datetime.datetime]:
    """Return when the month of a date, or of an aware datetime, begins and when the next one does.

    Both in the current time zone. Raises InvalidValue for anything else.
    """
    if isinstance(day, datetime.datetime) and day.utcoffset() is not None:
        day = timezone.localdate(day)
    if type(day) is not datetime.date or not datetime.date(2, 1, 1) <= day < datetime.date(9999, 1, 1):
        raise InvalidValue.of(field, day, "a date or an aware datetime of the years 2 to 9998")
    first = datetime.datetime(day.year, day.month, 1)
    next_first = (first + datetime.timedelta(days=31)).replace(day=1)
    return timezone.make_aware(first), timezone.make_aware(next_first)


def midnight(day: datetime.date, *, after: int = 0) -> datetime.datetime:
    """Return when a day of the current time zone begins, or the day so many days `after` it."""
    first = datetime.datetime.combine(day, datetime.time()) + datetime.timedelta(days=after)
    return timezone.make_aware(first)

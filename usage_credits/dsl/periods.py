"""Recurring periods: calendar arithmetic on a fixed anchor, in UTC."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Final

from dateutil.relativedelta import relativedelta

from usage_credits.exceptions import InvalidValue

DEFAULT_MINIMUM: Final = timedelta(days=1)
"""The shortest period accepted unless MIN_FULFILLMENT_PERIOD says otherwise."""

_MONTH: Final = timedelta(seconds=2_629_746)
"""A twelfth of the average Gregorian year; only for comparing lengths, never for dates."""

_SHORTEST_MONTH: Final = 28

_LONGEST: Final = timedelta(days=366_000)
"""About a thousand years: beyond it, dates run out of the calendar."""

_ALLOWED: Final = (
    'a name ("day", "weekly", "months", "quarter", "yearly" …), a number and a name ("2 weeks"), '
    'ISO 8601 ("P1M15D"), a timedelta or a relativedelta; positive and at most 1000 years'
)

_SIMPLE: Final[Mapping[str, relativedelta]] = {
    "second": relativedelta(seconds=1),
    "minute": relativedelta(minutes=1),
    "hour": relativedelta(hours=1),
    "day": relativedelta(days=1),
    "week": relativedelta(weeks=1),
    "month": relativedelta(months=1),
    "quarter": relativedelta(months=3),
    "year": relativedelta(years=1),
}
_NAMES: Final[Mapping[str, relativedelta]] = {
    **_SIMPLE,
    **{f"{name}s": length for name, length in _SIMPLE.items()},
    "hourly": _SIMPLE["hour"],
    "daily": _SIMPLE["day"],
    "weekly": _SIMPLE["week"],
    "monthly": _SIMPLE["month"],
    "quarterly": _SIMPLE["quarter"],
    "yearly": _SIMPLE["year"],
    "annually": _SIMPLE["year"],
}
_COUNTED: Final = re.compile(r"([0-9]{1,10}) +([a-z]+)")
_ISO: Final = re.compile(
    r"P(?=.)(?:(?P<years>[0-9]{1,10})Y)?(?:(?P<months>[0-9]{1,10})M)?"
    r"(?:(?P<weeks>[0-9]{1,10})W)?(?:(?P<days>[0-9]{1,10})D)?"
    r"(?:T(?=.)(?:(?P<hours>[0-9]{1,10})H)?(?:(?P<minutes>[0-9]{1,10})M)?"
    r"(?:(?P<seconds>[0-9]{1,12})(?:\.(?P<fraction>[0-9]{1,6}))?S)?)?"
)
_RELATIVE_PARTS: Final = ("years", "months", "days", "hours", "minutes", "seconds", "microseconds")
_ABSOLUTE_PARTS: Final = (
    "year",
    "month",
    "day",
    "weekday",
    "hour",
    "minute",
    "second",
    "microsecond",
)


@dataclass(frozen=True)
class Period:
    """A length of calendar time: whole months, and a rest in which a day is always 24 hours.

    Build it with `Period.parse`. Equal lengths written differently ("quarter", "3 months") are equal.
    """

    months: int = 0
    rest: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if type(self.months) is not int or not isinstance(self.rest, timedelta):
            raise InvalidValue.of("period", (self.months, self.rest), "whole months (int) and a timedelta")
        # Both parts are bounded one by one first: their sum could overflow a timedelta.
        bounded = 0 <= self.months <= 12_000 and timedelta(0) <= self.rest <= _LONGEST
        if not bounded or not timedelta(0) < self.approximate_length <= _LONGEST:
            raise InvalidValue.of("period", (self.months, self.rest), _ALLOWED)

    @classmethod
    def parse(cls, value: object, field: str = "period") -> Period:
        """Return the period that a name, a text, a timedelta, a relativedelta or a Period stands for.

        Names are lower-case: day, daily, days; week…; month…; quarter… (3 months); year…, annually; second,
        minute, hour. Text is a number and a name ("2 weeks") or ISO 8601 ("P1M15D"). Raises InvalidValue for
        anything else, for nothing and for negative lengths.
        """
        if isinstance(value, Period):
            return value
        period = _parse_text(value) if isinstance(value, str) else _from_length(value)
        if period is None:
            raise InvalidValue.of(field, value, _ALLOWED)
        return period

    @cached_property
    def approximate_length(self) -> timedelta:
        """Return the length with average months: for comparing with a minimum or a grace, never for dates."""
        return self.months * _MONTH + self.rest

    @property
    def iso(self) -> str:
        """Return the period as ISO 8601 text that `parse` reads back without loss, e.g. "P1M15D"."""
        years, months = divmod(self.months, 12)
        seconds = self.rest.seconds
        second = (
            f"{seconds % 60}.{self.rest.microseconds:06}".rstrip("0")
            if self.rest.microseconds
            else str(seconds % 60)
        )
        date = _join((years, "Y"), (months, "M"), (self.rest.days, "D"))
        time = _join((seconds // 3600, "H"), (seconds // 60 % 60, "M"), (second, "S"))
        return f"P{date}T{time}" if time else f"P{date}"

    def __str__(self) -> str:
        return self.iso

    def from_anchor(self, anchor: datetime, count: int) -> datetime:
        """Return the grid date `count` periods after an aware anchor, in UTC.

        Months are counted from the anchor and clamp to the month's end: Jan 31 gives Feb 28, then Mar 31.
        Raises InvalidValue for a naive anchor.
        """
        if anchor.utcoffset() is None:
            raise InvalidValue.of("anchor", anchor, "an aware datetime")
        moment = anchor.astimezone(UTC)
        if self.months and count:
            year, month = divmod(moment.year * 12 + moment.month - 1 + self.months * count, 12)
            day = moment.day
            if day > _SHORTEST_MONTH:
                day = min(day, monthrange(year, month + 1)[1])
            moment = moment.replace(year=year, month=month + 1, day=day)
        return moment + self.rest * count if self.rest else moment


def read_period(value: object) -> Period | None:
    """Return the period of a value, or None for None; raise InvalidValue for anything that is no period."""
    return None if value is None else Period.parse(value)


def is_valid_period(value: object, minimum: timedelta = DEFAULT_MINIMUM) -> bool:
    """Tell whether a value is a period of at least `minimum`; never raises."""
    try:
        return Period.parse(value).approximate_length >= minimum
    except InvalidValue:
        return False


@lru_cache
def _parse_text(text: str) -> Period | None:
    """Return the period of a text; schedules ask for the same few at each of their dates."""
    return _from_length(_read_text(text))


def _from_length(length: object) -> Period | None:
    try:
        if isinstance(length, timedelta):
            return Period(0, length)
        if isinstance(length, relativedelta) and _is_plain(length):
            return _from_relativedelta(length)
    except (InvalidValue, OverflowError):
        pass
    return None


def _read_text(text: str) -> relativedelta | None:
    if text in _NAMES:
        return _NAMES[text]
    if (counted := _COUNTED.fullmatch(text)) and counted[2] in _NAMES:
        return _NAMES[counted[2]] * int(counted[1])
    if iso := _ISO.fullmatch(text):
        fraction = iso["fraction"] or ""
        return relativedelta(
            years=int(iso["years"] or 0),
            months=int(iso["months"] or 0),
            weeks=int(iso["weeks"] or 0),
            days=int(iso["days"] or 0),
            hours=int(iso["hours"] or 0),
            minutes=int(iso["minutes"] or 0),
            seconds=int(iso["seconds"] or 0),
            microseconds=int(fraction.ljust(6, "0")),
        )
    return None


def _is_plain(length: relativedelta) -> bool:
    """Refuse what names a date ("the 1st", "next Friday") and what goes back in time in any of its parts."""
    parts: list[object] = [getattr(length, part) for part in _RELATIVE_PARTS]
    names_a_date = length.leapdays != 0 or any(getattr(length, part) is not None for part in _ABSOLUTE_PARTS)
    return not names_a_date and all(isinstance(part, int) and part >= 0 for part in parts)


def _from_relativedelta(length: relativedelta) -> Period:
    rest = timedelta(
        days=length.days,
        hours=length.hours,
        minutes=length.minutes,
        seconds=length.seconds,
        microseconds=length.microseconds,
    )
    return Period(length.years * 12 + length.months, rest)


def _join(*parts: tuple[int | str, str]) -> str:
    return "".join(f"{number}{letter}" for number, letter in parts if number not in (0, "0"))

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dateutil.relativedelta import FR, relativedelta
from hypothesis import assume, given
from hypothesis import strategies as st

from usage_credits import InvalidValue, credits
from usage_credits.dsl.periods import Period, is_valid_period, read_period

NAMES = [
    *[(name, "P1D") for name in ("day", "days", "daily")],
    *[(name, "P7D") for name in ("week", "weeks", "weekly")],
    *[(name, "P1M") for name in ("month", "months", "monthly")],
    *[(name, "P3M") for name in ("quarter", "quarters", "quarterly")],
    *[(name, "P1Y") for name in ("year", "years", "yearly", "annually")],
    *[(name, "PT1S") for name in ("second", "seconds")],
    *[(name, "PT1M") for name in ("minute", "minutes")],
    *[(name, "PT1H") for name in ("hour", "hours", "hourly")],
]
NO_PERIODS = [
    "MONTH",
    "biweekly",
    "fortnight",
    "invalid",
    "1month",
    "-1 month",
    "1.5 days",
    "0 days",
    "1 dailys",
    "٣ days",
    "9999999999 years",
    "",
    "P",
    "PT",
    "P1MT",
    "P-1M",
    "P1.5M",
    "P0D",
    5,
    1.5,
    True,
    [],
    timedelta(0),
    timedelta(days=-1),
    timedelta.max,
    relativedelta(),
    relativedelta(months=-1),
    relativedelta(months=1, days=-1),
    relativedelta(days=1.5),  # type: ignore[arg-type]
    relativedelta(months=1, day=1),
    relativedelta(weekday=FR),
    relativedelta(days=1, hour=0),
    relativedelta(days=1, leapdays=1),
]


@pytest.mark.behaviour("PER-01", "PER-02", "PER-07")
@pytest.mark.parametrize(("name", "iso"), NAMES)
def test_parse_reads_names_and_their_plurals(name: str, iso: str) -> None:
    assert Period.parse(name).iso == iso


@pytest.mark.behaviour("PER-05", "PER-06", "PER-07")
@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("1 month", "P1M"),
        ("2 weeks", "P14D"),
        ("3 days", "P3D"),
        ("12 months", "P1Y"),
        ("365 days", "P365D"),
        ("1 quarter", "P3M"),
        ("2 seconds", "PT2S"),
        ("5 minutes", "PT5M"),
        ("3 hours", "PT3H"),
        ("1 hourly", "PT1H"),
        ("P1M15D", "P1M15D"),
        ("P2W", "P14D"),
        ("P1Y2M3DT4H5M6.5S", "P1Y2M3DT4H5M6.5S"),
    ],
)
def test_parse_reads_counts_and_iso_text(text: str, iso: str) -> None:
    assert Period.parse(text).iso == iso


@pytest.mark.behaviour("PER-04", "PER-09")
@pytest.mark.parametrize(
    ("duration", "iso"),
    [
        (timedelta(days=14), "P14D"),
        (timedelta(seconds=1, microseconds=250_000), "PT1.25S"),
        (relativedelta(months=3), "P3M"),
        (relativedelta(months=1, days=15), "P1M15D"),
        (relativedelta(years=100), "P100Y"),
        (timedelta(days=36_500), "P36500D"),
        (relativedelta(weeks=2), "P14D"),
    ],
)
def test_parse_reads_durations(duration: Any, iso: str) -> None:
    assert Period.parse(duration).iso == iso


@pytest.mark.behaviour("PER-03", "PER-05")
@pytest.mark.parametrize("value", [*NO_PERIODS, None])
def test_parse_refuses_what_is_no_period(value: Any) -> None:
    with pytest.raises(InvalidValue, match=r"^period: got"):
        Period.parse(value)


@pytest.mark.behaviour("PER-04", "PER-06", "PER-07", "PER-08")
def test_validity_is_answered_without_raising() -> None:
    assert not any(map(is_valid_period, [*NO_PERIODS, None, object(), timedelta(hours=12), "6 hours"]))
    assert all(map(is_valid_period, ["1 quarter", "14 days", "P3M", "100 years", timedelta(days=14)]))
    assert is_valid_period("2 seconds", minimum=timedelta(seconds=1))


@pytest.mark.behaviour("PER-10")
def test_no_period_is_read_as_none() -> None:
    assert read_period(None) is None
    assert read_period("quarterly") == Period(3)


@pytest.mark.behaviour("PER-10")
def test_every_means_a_month_unless_said_otherwise() -> None:
    assert credits(500).every() == credits(500).every("month")
    assert str(credits(500).every()) == "500 credits every P1M"


@pytest.mark.behaviour("PER-09")
@given(
    months=st.integers(0, 12_000),
    rest=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3_000)),
)
def test_iso_text_reads_back_without_loss(months: int, rest: timedelta) -> None:
    assume(is_valid_period(relativedelta(months=months) + relativedelta(days=rest.days), timedelta(0)))
    period = Period(months, rest)
    assert Period.parse(period.iso) == period
    assert Period.parse(period) is period


def at(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


@pytest.mark.behaviour("PER-11")
def test_from_anchor_clamps_to_the_end_of_the_month() -> None:
    assert Period.parse("month").from_anchor(at(2026, 1, 31), 1) == at(2026, 2, 28)
    assert Period.parse("month").from_anchor(at(2028, 1, 31), 1) == at(2028, 2, 29)
    assert Period.parse("quarter").from_anchor(at(2026, 11, 30), 1) == at(2027, 2, 28)
    assert Period.parse("quarter").from_anchor(at(2027, 11, 30), 1) == at(2028, 2, 29)


@pytest.mark.behaviour("PER-12")
def test_from_anchor_keeps_the_day_of_the_anchor() -> None:
    monthly = Period.parse("month")
    dates = [monthly.from_anchor(at(2026, 1, 31), count) for count in range(4)]
    assert dates == [at(2026, 1, 31), at(2026, 2, 28), at(2026, 3, 31), at(2026, 4, 30)]


@pytest.mark.behaviour("PER-13")
def test_from_anchor_counts_in_utc_through_daylight_saving() -> None:
    evening = datetime(2026, 3, 28, 20, tzinfo=ZoneInfo("Europe/Berlin"))
    assert Period.parse("day").from_anchor(evening, 1) == evening.astimezone(UTC) + timedelta(hours=24)
    assert Period.parse("month").from_anchor(evening, 1) == at(2026, 4, 28, 19)
    late = datetime(2026, 1, 31, 23, tzinfo=timezone(timedelta(hours=-5)))
    assert Period.parse("month").from_anchor(late, 1) == at(2026, 3, 1, 4)


def test_from_anchor_adds_the_rest_after_the_months() -> None:
    assert Period.parse("P1M15D").from_anchor(at(2026, 1, 31), 1) == at(2026, 3, 15)
    assert Period.parse("P1M15D").from_anchor(at(2026, 1, 31), 2) == at(2026, 4, 30)


def test_from_anchor_refuses_a_naive_moment() -> None:
    with pytest.raises(InvalidValue, match=r"^anchor: got"):
        Period.parse("day").from_anchor(datetime(2026, 1, 1), 1)


@given(
    anchor=st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    months=st.integers(0, 24),
    days=st.integers(0, 60),
    count=st.integers(0, 40),
)
def test_from_anchor_always_moves_on(anchor: datetime, months: int, days: int, count: int) -> None:
    assume(months or days)
    period = Period(months, timedelta(days=days))
    assert period.from_anchor(anchor, count) < period.from_anchor(anchor, count + 1)


@pytest.mark.behaviour("PER-14")
def test_approximate_length_compares_periods_of_different_units() -> None:
    month = Period.parse("month").approximate_length
    assert timedelta(days=30) < month < timedelta(days=31)
    assert Period.parse("year").approximate_length == 12 * month
    assert Period.parse("P1M1D").approximate_length == month + timedelta(days=1)


@pytest.mark.parametrize(
    "parts", [(1.5, timedelta(0)), (1, 5), (-1, timedelta(days=60)), (True, timedelta(1))]
)
def test_period_refuses_parts_that_are_no_length(parts: Any) -> None:
    with pytest.raises(InvalidValue, match=r"^period: got"):
        Period(*parts)

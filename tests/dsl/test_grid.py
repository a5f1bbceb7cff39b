from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usage_credits.dsl.grid import Grid
from usage_credits.dsl.periods import Period

INSTANT = timedelta(microseconds=1)
PERIODS = ["PT15S", "P1D", "P7D", "P1M", "P1M15D", "P3M", "P1Y"]


def at(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def grid(anchor: datetime, period: str = "P1M") -> Grid:
    return Grid(anchor, Period.parse(period))


def following(dates: Grid, count: int) -> list[datetime]:
    """Return the `count` dates after the anchor, each found from the one before."""
    found = [dates.anchor]
    for _ in range(count):
        found.append(dates.first_after(found[-1]))
    return found[1:]


@pytest.mark.behaviour("DEC-06", "PER-11", "PER-12")
@pytest.mark.parametrize(
    ("anchor", "period", "dates"),
    [
        (at(2026, 1, 31), "P1M", [at(2026, 2, 28), at(2026, 3, 31), at(2026, 4, 30)]),
        (at(2028, 1, 31), "P1M", [at(2028, 2, 29), at(2028, 3, 31)]),
        (at(2024, 2, 29), "P1Y", [at(2025, 2, 28), at(2026, 2, 28), at(2027, 2, 28), at(2028, 2, 29)]),
        (at(2026, 11, 30), "P3M", [at(2027, 2, 28), at(2027, 5, 30)]),
        (at(2026, 12, 31), "P1D", [at(2027, 1, 1), at(2027, 1, 2)]),
    ],
    ids=str,
)
def test_each_date_counts_from_the_anchor(anchor: datetime, period: str, dates: list[datetime]) -> None:
    assert following(grid(anchor, period), len(dates)) == dates


@pytest.mark.behaviour("DEC-06", "PER-13")
@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York"])
def test_dates_do_not_drift_through_daylight_saving(zone: str) -> None:
    anchor = datetime(2026, 1, 15, 20, tzinfo=ZoneInfo(zone))
    first = anchor.astimezone(UTC)
    assert {(date.day, date.hour) for date in following(grid(anchor), 12)} == {(first.day, first.hour)}
    assert {date.hour for date in following(grid(anchor, "P1D"), 365)} == {first.hour}


@pytest.mark.behaviour("DEC-06")
def test_a_date_is_its_own_latest_and_the_next_comes_after_it() -> None:
    dates = grid(at(2026, 1, 31, 10))
    date = at(2026, 2, 28, 10)
    assert dates.last_until(date) == date
    assert dates.last_until(date - INSTANT) == at(2026, 1, 31, 10)
    assert dates.first_after(date) == at(2026, 3, 31, 10)
    assert dates.first_after(date - INSTANT) == date


def test_before_the_anchor_there_is_no_date_and_the_anchor_comes_next() -> None:
    dates = grid(at(2026, 1, 31))
    assert dates.last_until(at(2026, 1, 30)) is None
    assert dates.first_after(at(2025, 1, 1)) == at(2026, 1, 31)


@pytest.mark.behaviour("DEC-06")
@given(
    anchor=st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC)),
    late=st.timedeltas(timedelta(0), timedelta(days=8_000)),
    period=st.sampled_from(PERIODS),
)
def test_every_moment_lies_between_two_neighbours_of_the_grid(
    anchor: datetime, late: timedelta, period: str
) -> None:
    dates, moment = grid(anchor, period), anchor + late
    before, after = dates.last_until(moment), dates.first_after(moment)
    assert before is not None
    assert before <= moment < after
    assert dates.first_after(before) == after
    assert dates.last_until(after - INSTANT) == before

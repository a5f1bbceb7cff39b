"""Draw a balance over time: the geometry of a chart that a template shows as SVG, without any script."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.formats import date_format, number_format

from usage_credits.ledger.balance_history import DayBalance

TOP: Final = 10
BOTTOM: Final = 88
"""Where the plot begins and ends, in percent of the chart's height; above and below it is room for text."""

_LINES: Final = 4
"""About how many lines the vertical axis has."""
_DATES: Final = 4
"""At most how many dates the horizontal axis has."""


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: where it is, in percent of the chart's height or width, and what it says."""

    at: float
    text: str
    anchor: str = "middle"


@dataclass(frozen=True)
class BalanceChart:
    """What a template draws, whatever size it has. `days` are the same figures for a table beside the picture.

    `line` and `area` are paths of which both sides count from 0 to 100.
    """

    days: tuple[DayBalance, ...]
    line: str
    area: str
    levels: tuple[Tick, ...]
    dates: tuple[Tick, ...]
    lowest: int
    highest: int

    @property
    def last(self) -> DayBalance:
        """Return the last day."""
        return self.days[-1]


def balance_chart(history: Sequence[DayBalance]) -> BalanceChart:
    """Return the chart of a history of at least one day, with texts in the format of the active locale.

    A balance holds from one day to the next, so the line goes in steps; zero is always on the chart.
    """
    balances = [day.balance for day in history]
    lowest, highest = min(balances), max(balances)
    step = _round_step(min(lowest, 0), max(highest, 0))
    bottom, top = _down(min(lowest, 0), step), -_down(-max(highest, 1), step)

    def x(index: int) -> float:
        return round(100 * index / max(len(balances) - 1, 1), 2)

    def y(balance: int) -> float:
        return round(TOP + (BOTTOM - TOP) * (top - balance) / (top - bottom), 2)

    line = f"M{x(0)} {y(balances[0])}" + "".join(
        f"H{x(index)}V{y(balance)}" for index, balance in enumerate(balances) if index
    )
    line = f"{line}H100"
    return BalanceChart(
        days=tuple(history),
        line=line,
        area=f"{line}V{y(0)}H{x(0)}Z",
        levels=tuple(Tick(y(level), number_format(level)) for level in range(bottom, top + 1, step)),
        dates=tuple(_dates([day.day for day in history], x)),
        lowest=lowest,
        highest=highest,
    )


def _dates(days: Sequence[datetime.date], x: Callable[[int], float]) -> Iterator[Tick]:
    """Yield the first day, the last one, and some between them at even distances."""
    last = len(days) - 1
    gaps = max(min(_DATES - 1, last), 1)
    for index in sorted({last * part // gaps for part in range(gaps + 1)}):
        anchor = "start" if index == 0 else "end" if index == last else "middle"
        yield Tick(x(index), date_format(days[index], "MONTH_DAY_FORMAT"), anchor)


def _round_step(bottom: int, top: int) -> int:
    """Return the distance of two levels: 1, 2 or 5 times a power of ten."""
    rough = -((bottom - top) // _LINES)
    power: int = 10 ** (len(str(rough)) - 1)
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)


def _down(balance: int, step: int) -> int:
    """Return the level at or below a balance."""
    return balance // step * step

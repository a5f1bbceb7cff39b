"""What is measured, and what is asked of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured figure: a ratio within this run, a rate, or a count; None where `note` says why there is none.

    `at_least` and `at_most` are its budget, None where there is none. `is_timed` says that it depends on how quiet the
    machine is; a quick run judges only the others. `details` are what it was worked out from.
    """

    topic: str
    name: str
    value: float | None
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    is_timed: bool = True
    note: str = ""
    details: Mapping[str, float] = field(default_factory=dict)

    @property
    def measured(self) -> str:
        """The value as people read it."""
        return self.note if self.value is None else _words(self.value, self.unit)

    @property
    def budget(self) -> str:
        """The budget in words."""
        if self.at_least is not None:
            return f"at least {_words(self.at_least, self.unit, exact=True)}"
        return "" if self.at_most is None else f"at most {_words(self.at_most, self.unit, exact=True)}"

    @property
    def margin(self) -> float | None:
        """How many times better than its budget it is; below 1 it is missed. None where there is none to compare."""
        if self.value is None or (self.at_least is None and self.at_most is None):
            return None
        if self.at_least is not None:
            return self.value / self.at_least
        return (self.at_most or 0) / self.value if self.value else math.inf

    def verdict(self, *, quick: bool = False) -> str:
        """Return ok or MISSED, or nothing where there is no budget, or none that a quick run may judge."""
        if self.margin is None or (quick and self.is_timed):
            return ""
        return "ok" if self.margin >= 1 else "MISSED"


@dataclass(frozen=True, kw_only=True)
class Call:
    """What one call costs: medians in microseconds, of the clock and of this process's CPU, and its statements."""

    name: str
    microseconds: float
    cpu_microseconds: float
    statements: int


def _words(value: float, unit: str, *, exact: bool = False) -> str:
    if unit == "/s":
        return f"{value:,.0f}/s"
    if exact or not unit:
        number = f"{value:,g}"
    elif unit == "MB" or value >= 100:
        number = f"{value:,.0f}"
    else:
        number = f"{value:.2f}" if unit == "×" else f"{value:.1f}"
    return f"{number} {unit}".rstrip()

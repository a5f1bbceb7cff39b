"""What is measured, and what is asked of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One measured figure: a ratio within this run, a rate, or a count.

    `at_least` and `at_most` are its budget, None where there is none. `is_timed` says that it depends on the machine's
    quietness; a short run judges only the others.
    """

    name: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    is_timed: bool = True
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def budget(self) -> str:
        """The budget in words."""
        if self.at_least is not None:
            return f"at least {self.at_least:g}"
        return "" if self.at_most is None else f"at most {self.at_most:g}"

    @property
    def is_met(self) -> bool:
        """Tell whether the budget is kept; what has none always is."""
        return (self.at_least is None or self.value >= self.at_least) and (
            self.at_most is None or self.value <= self.at_most
        )

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return {**asdict(self), "budget": self.budget, "is_met": self.is_met}

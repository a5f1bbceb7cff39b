"""The time at the fake."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta


class Clock:
    """Another clock's time and what it was advanced by, in seconds since the epoch."""

    def __init__(self, source: Callable[[], float]) -> None:
        self._source = source
        self._ahead = 0.0

    def __call__(self) -> float:
        return self._source() + self._ahead

    def advance(self, by: timedelta) -> None:
        """Go forward; raises ValueError for going back."""
        if by < timedelta(0):
            raise ValueError("The time at Stripe only goes forward.")
        self._ahead += by.total_seconds()

    def advance_to(self, moment: datetime) -> None:
        """Go forward to a moment, an aware datetime; raises ValueError for one in the past."""
        self.advance(timedelta(seconds=moment.timestamp() - self()))

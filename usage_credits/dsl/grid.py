"""Grid dates: the moments at which a schedule awards, counted from an anchor that never moves by itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from usage_credits.dsl.periods import Period


@dataclass(frozen=True)
class Grid:
    """An anchor (aware) and the period after which each date follows the one before: anchor + k periods, in UTC."""

    anchor: datetime
    period: Period

    def first_after(self, moment: datetime) -> datetime:
        """Return the first grid date after `moment`; the anchor itself is one."""
        return self.period.from_anchor(self.anchor, max(self._count(moment) + 1, 0))

    def last_until(self, moment: datetime) -> datetime | None:
        """Return the latest grid date at or before `moment`, None before the anchor."""
        count = self._count(moment)
        return self.period.from_anchor(self.anchor, count) if count >= 0 else None

    def _count(self, moment: datetime) -> int:
        """Return how many whole periods after the anchor the latest date up to `moment` lies, -1 before it.

        Guessed from the average length, then put right: months differ.
        """
        if moment < self.anchor:
            return -1
        count = (moment - self.anchor) // self.period.approximate_length
        while self.period.from_anchor(self.anchor, count + 1) <= moment:
            count += 1
        while self.period.from_anchor(self.anchor, count) > moment:
            count -= 1
        return count

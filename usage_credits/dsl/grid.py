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
        return self.around(moment)[1]

    def last_until(self, moment: datetime) -> datetime | None:
        """Return the latest grid date at or before `moment`, None before the anchor."""
        return self.around(moment)[0]

    def around(self, moment: datetime) -> tuple[datetime | None, datetime]:
        """Return the grid dates between which `moment` lies: `last_until` it and `first_after` it.

        Guessed from the average length, then put right: months differ.
        """
        if moment < self.anchor:
            return None, self._date(0)
        count = (moment - self.anchor) // self.period.approximate_length
        last, following = self._date(count), self._date(count + 1)
        while following <= moment:
            count += 1
            last, following = following, self._date(count + 1)
        while last > moment:
            count -= 1
            last, following = self._date(count), last
        return last, following

    def _date(self, count: int) -> datetime:
        return self.period.from_anchor(self.anchor, count)

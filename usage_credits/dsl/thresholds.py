"""Thresholds of a low balance: whole credits, or a share of the last award."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

_PERCENT: Final = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%")


@dataclass(frozen=True)
class Share:
    """A part of what a pack or plan awarded last, above 0 and at most all of it; `str(share)` is "20%"."""

    part: Fraction
    text: str

    @classmethod
    def parse(cls, text: str) -> Share | None:
        """Return the share that "20%" or "12.5%" stands for, None for anything else."""
        found = _PERCENT.fullmatch(text.strip())
        part = Fraction(found[1]) / 100 if found else Fraction(0)
        return cls(part, f"{found[1]}%") if found and 0 < part <= 1 else None

    def of(self, award: int | None) -> int | None:
        """Return the share in whole credits: a balance is at or below it exactly where it is at or below the part."""
        return None if award is None else int(self.part * award)

    def __str__(self) -> str:
        return self.text


Threshold = int | Share

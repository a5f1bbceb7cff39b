"""What a plan gives in each of its periods."""

from __future__ import annotations

from dataclasses import dataclass

from usage_credits.dsl.periods import Period
from usage_credits.exceptions import InvalidValue
from usage_credits.values import check_amount


@dataclass(frozen=True)
class Allowance:
    """An amount of credits every period; write it as `credits(500).every("month")`."""

    amount: int
    period: Period

    def __post_init__(self) -> None:
        check_amount(self.amount, "gives")
        if not isinstance(self.period, Period):
            raise InvalidValue.of("period", self.period, "a Period, as credits(…).every(…) makes it")

    def __str__(self) -> str:
        return f"{self.amount} credits every {self.period}"

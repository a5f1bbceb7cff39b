from __future__ import annotations

from typing import Any

from usage_credits import Operation
from usage_credits.dsl.costs import Cost, PriceFunction
from usage_credits.dsl.rounding import Rounding


def price_of(costs: int | Cost | PriceFunction, rounding: Rounding = "ceil", **params: Any) -> int:
    return Operation("any", costs=costs).quote(params, rounding).price

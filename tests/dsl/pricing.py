from __future__ import annotations

from typing import Any

from usage_credits import Operation
from usage_credits.dsl.costs import Cost, PriceFunction


def price_of(costs: int | Cost | PriceFunction, **params: Any) -> int:
    return Operation("any", costs=costs).quote(params).price

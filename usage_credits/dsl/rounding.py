"""Round an exact price once, at the very end."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final, Literal, cast, get_args

from usage_credits.exceptions import InvalidValue

Rounding = Literal["ceil", "floor", "round"]
"""ceil never undercharges, floor never overcharges, round takes the nearest whole number and halves up."""

DEFAULT_ROUNDING: Final[Rounding] = "ceil"


def check_rounding(value: object, field: str = "rounding") -> Rounding:
    """Return the name of a rounding; raise InvalidValue for anything but "ceil", "floor" and "round"."""
    if not isinstance(value, str) or value not in get_args(Rounding):
        raise InvalidValue.of(field, value, '"ceil", "floor" or "round"')
    return cast(Rounding, value)


def round_price(exact: Fraction, rounding: Rounding = DEFAULT_ROUNDING) -> int:
    """Return the whole number of credits for an exact price.

    "round" sends halves up (5.5 gives 6), not to the even neighbour as Python's `round` does.
    Raises InvalidValue for an unknown rounding.
    """
    match check_rounding(rounding):
        case "ceil":
            return math.ceil(exact)
        case "floor":
            return math.floor(exact)
        case "round":
            return math.floor(exact + Fraction(1, 2))

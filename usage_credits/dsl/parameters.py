"""Read the parameters of one use of an operation, once, for its rules and its price."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from usage_credits.dsl.units import BYTES_IN, OPTION_NAMES, SIZE_FORMS, UNIT_SPELLINGS
from usage_credits.exceptions import InvalidOperation, describe
from usage_credits.values import MAX_AMOUNT, is_finite_number

_FINEST_EXPONENT: Final = -1000
"""Decimals finer than this would cost more memory to read exactly than any price is worth."""


class MissingParameter(KeyError):
    """A rule or a callable cost asked for a parameter that the caller did not give."""

    def __str__(self) -> str:
        return f"the parameter {self.args[0]!r} is missing"


class Parameters(Mapping[str, Any]):
    """The caller's parameters, read-only, with sizes and units in all their spellings.

    When a size is given in any form, `size` (bytes, int, rounded up), `kb`, `mb` and `gb` are all present:
    int when whole, else float. `unit` and `units` mirror each other. What was not given is absent, and None
    counts as not given for sizes and units. Raises InvalidOperation for a size that is no finite number from
    0 up, and for parameters named like the spending options.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        for option in OPTION_NAMES:
            if option in given:
                raise InvalidOperation(f"{option!r} is the name of an option and cannot be a parameter.")
        self._values: dict[str, Any] = dict(given)
        self._exact: dict[str, Fraction] = {}
        self.counted: dict[str, Fraction] = {}
        """What a price has asked for so far, by unit."""
        self._mirror_units()
        self._read_size()

    def __getitem__(self, name: str) -> Any:
        try:
            return self._values[name]
        except KeyError:
            raise MissingParameter(name) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Parameters({self._values!r})"

    def quantity(self, unit: str) -> Fraction:
        """Return exactly how many of a unit the caller gave.

        Raises InvalidOperation that names the parameter if it is missing, negative or not a number.
        """
        exact = self._exact.get(unit)
        if exact is None:
            value = self._values.get(unit)
            if value is None:
                how = f" (or any of {', '.join(SIZE_FORMS)})" if unit in BYTES_IN or unit == "size" else ""
                raise InvalidOperation(f"the parameter {unit!r} is missing{how}.")
            exact = _read_quantity(unit, value)
        self.counted[unit] = exact
        return exact

    def _mirror_units(self) -> None:
        given = [self._values[name] for name in UNIT_SPELLINGS if self._values.get(name) is not None]
        if len(given) == 1:
            self._values.update(dict.fromkeys(UNIT_SPELLINGS, given[0]))

    def _read_size(self) -> None:
        form = next((name for name in SIZE_FORMS if self._values.get(name) is not None), None)
        if form is None:
            for name in ("size", *BYTES_IN):
                self._values.pop(name, None)
            return
        in_bytes = _read_quantity(form, self._values[form]) * SIZE_FORMS[form]
        self._exact = {unit: in_bytes / size for unit, size in BYTES_IN.items()}
        self._exact["size"] = Fraction(math.ceil(in_bytes))
        self._values.update({name: _plain(exact) for name, exact in self._exact.items()})


def _read_quantity(name: str, value: object) -> Fraction:
    if (
        isinstance(value, int | float | Decimal)
        and is_finite_number(value)
        and 0 <= value <= MAX_AMOUNT
        and not _is_too_fine(value)
    ):
        # A float is read by its shortest text, so that 0.1 is a tenth and not the little more that it holds.
        return Fraction(repr(float(value)) if isinstance(value, float) else value)
    raise InvalidOperation(
        f"the parameter {name!r} is {describe(value)}, allowed is a number from 0 to 2**63 - 1."
    )


def _is_too_fine(value: object) -> bool:
    exponent = value.as_tuple().exponent if isinstance(value, Decimal) else 0
    return isinstance(exponent, int) and exponent < _FINEST_EXPONENT


def _plain(exact: Fraction) -> int | float:
    return exact.numerator if exact.denominator == 1 else float(exact)

"""What one use of an operation costs: fixed amounts, rates per unit, sums and callables."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from usage_credits.dsl.allowances import Allowance
from usage_credits.dsl.parameters import Parameters
from usage_credits.dsl.periods import Period
from usage_credits.dsl.units import clean_unit
from usage_credits.exceptions import InvalidValue, describe
from usage_credits.values import check_amount

PriceFunction = Callable[[Mapping[str, Any]], "int | Cost"]
"""Gets the normalised parameters; returns a whole number of credits from 0 up, or a cost to evaluate."""


class Cost(ABC):
    """A price still to be worked out; costs add up with `+`, in any order and grouping."""

    @abstractmethod
    def price(self, params: Parameters) -> Fraction:
        """Return the exact price in credits; rounding is left to the end of the whole sum.

        Raises InvalidOperation for a parameter that is missing or no number from 0 up.
        """

    def __add__(self, other: Cost) -> Cost:
        if not isinstance(other, Cost):
            return NotImplemented
        return SumCost((*_parts(self), *_parts(other)))


@dataclass(frozen=True)
class FixedCost(Cost):
    """The same whole number of credits whatever the parameters."""

    amount: int

    def __post_init__(self) -> None:
        check_amount(self.amount, "credits", minimum=0)

    def price(self, params: Parameters) -> Fraction:
        return Fraction(self.amount)

    def per(self, unit: str, every: int = 1) -> UnitCost:
        """Charge this amount for each `every` of a unit: kb, mb, gb, unit, or the name of a parameter.

        Raises InvalidValue for a unit that is no parameter's name and for an `every` below 1.
        """
        return UnitCost(self.amount, unit, every)

    def every(self, period: object = None) -> Allowance:
        """Give this amount in every period, for plans; a month unless said otherwise.

        `period` is anything that `Period.parse` reads: "month", "2 weeks", "P1M15D", a timedelta, a
        relativedelta. Raises InvalidValue for what is no period, InvalidAmount for an amount of 0.
        """
        return Allowance(self.amount, Period.parse("month" if period is None else period))


@dataclass(frozen=True)
class UnitCost(Cost):
    """`rate` credits for each `every` of a unit, in exact proportion."""

    rate: int
    unit: str
    every: int = 1

    def __post_init__(self) -> None:
        check_amount(self.rate, "credits", minimum=0)
        check_amount(self.every, "every")
        object.__setattr__(self, "unit", clean_unit(self.unit))

    def price(self, params: Parameters) -> Fraction:
        return self.rate * params.quantity(self.unit) / self.every


@dataclass(frozen=True)
class SumCost(Cost):
    """Several costs together."""

    parts: tuple[Cost, ...]

    def price(self, params: Parameters) -> Fraction:
        return sum((part.price(params) for part in self.parts), Fraction(0))


@dataclass(frozen=True)
class CallableCost(Cost):
    """A price worked out by a function of the normalised parameters."""

    function: PriceFunction

    def price(self, params: Parameters) -> Fraction:
        result = self.function(params)
        if isinstance(result, Cost):
            return result.price(params)
        return Fraction(check_amount(result, "costs", minimum=0))


def credits(amount: int) -> FixedCost:
    """Return a cost of `amount` credits, a whole number (int) from 0 up.

    Chain `.per("mb")` for a rate, `.every("month")` for what a plan gives. Raises InvalidAmount.
    """
    return FixedCost(amount)


def read_cost(value: object, field: str = "costs") -> Cost:
    """Return the cost that a definition's value stands for: a cost, a whole number or a callable.

    Raises InvalidAmount for a number that is not whole or is negative, InvalidValue for anything else.
    """
    if isinstance(value, Cost):
        return value
    if isinstance(value, Allowance):
        raise InvalidValue(
            field, f"got {describe(value)}; .every(…) is for what plans give, .per(…) for rates."
        )
    if callable(value):
        return CallableCost(value)
    return FixedCost(check_amount(value, field, minimum=0))


def _parts(cost: Cost) -> tuple[Cost, ...]:
    return cost.parts if isinstance(cost, SumCost) else (cost,)

"""Convert between money and credits at a rate, exactly, with one rounding at the end."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from usage_credits.dsl.money import DEFAULT_CURRENCY, Money, clean_currency, decimal_places
from usage_credits.dsl.rounding import DEFAULT_ROUNDING, Rounding, round_price
from usage_credits.exceptions import InvalidValue
from usage_credits.values import is_finite_number

Rate = int | float | Decimal
"""Credits for one main unit of the currency (a dollar)."""


def money_to_credits(
    amount: int, rate: Rate, *, currency: str = DEFAULT_CURRENCY, rounding: Rounding = DEFAULT_ROUNDING
) -> int:
    """Return the credits that `amount` minor units buy at `rate` credits per main unit.

    A negative amount gives negative credits. Raises InvalidValue for an amount that is no int and for a rate
    that is no finite number from 0 up.
    """
    main_units = Fraction(_whole(amount), 10 ** decimal_places(clean_currency(currency)))
    return round_price(main_units * _read_rate(rate), rounding)


def credits_to_money(
    amount: int, rate: Rate, *, currency: str = DEFAULT_CURRENCY, rounding: Rounding = DEFAULT_ROUNDING
) -> int:
    """Return the minor units that `amount` credits are worth at `rate` credits per main unit.

    Raises InvalidValue for an amount that is no int and for a rate that is no finite number above 0.
    """
    per_main_unit = _read_rate(rate)
    if not per_main_unit:
        raise InvalidValue.of("rate", rate, "a finite number above 0")
    return round_price(
        _whole(amount) * 10 ** decimal_places(clean_currency(currency)) / per_main_unit, rounding
    )


def credits_per_unit(amount: int, price: Money) -> Decimal:
    """Return how many credits one main unit of the currency buys; 0 for what costs nothing."""
    return Decimal(amount) / price.decimal if price.amount else Decimal(0)


def _whole(amount: int) -> int:
    if type(amount) is not int:
        raise InvalidValue.of("amount", amount, "a whole number (int)")
    return amount


def _read_rate(rate: object) -> Fraction:
    if isinstance(rate, int | float | Decimal) and is_finite_number(rate) and rate >= 0:
        return Fraction(repr(float(rate)) if isinstance(rate, float) else rate)
    raise InvalidValue.of("rate", rate, "a finite number (int, float or Decimal) from 0 up")

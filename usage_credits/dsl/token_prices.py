"""What tokens cost whoever offers them: money to the provider of a model, kept beside the credits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from usage_credits.dsl.money import DEFAULT_CURRENCY, Money, clean_currency, decimal_places
from usage_credits.dsl.parameters import Parameters
from usage_credits.dsl.rate_tables import MILLION, RateTable, read_table
from usage_credits.dsl.rounding import round_price
from usage_credits.exceptions import InvalidOperation, InvalidValue
from usage_credits.values import MAX_AMOUNT, is_finite_number

NANOS: Final = 10**9
"""Billionths of a currency's minor unit: one token costs some millionths of a cent."""

Price = int | float | Decimal | Money
"""Money for `every` tokens, a number in the currency's main unit (dollars)."""

ModelPrices = tuple[Price, Price] | Mapping[str, Price] | int
"""A pair (input, output), a price for each parameter that counts tokens, or 0 for nothing."""


@dataclass(frozen=True)
class ProviderCost:
    """Money to a billionth of the currency's minor unit; `str(cost)` is "1.56" for 1.56 cents."""

    nanos: int
    currency: str

    @property
    def amount(self) -> Decimal:
        """Return the amount in the minor unit (cents)."""
        return minor_units(self.nanos)

    def __str__(self) -> str:
        return f"{self.amount:f}"


@dataclass(frozen=True)
class TokenPrices:
    """Money for each kind of token, in exact proportion, at prices of the model that the parameters name."""

    table: RateTable
    currency: str

    def cost(self, **params: Any) -> ProviderCost:
        """Return what tokens cost: `prices.cost(model="gpt-5", input_tokens=1_200, output_tokens=800)`.

        Rounded once, to the nearest billionth of the currency's minor unit. A model without prices costs 0. Raises
        InvalidOperation for counts that are no numbers from 0 up, and where the model is missing.
        """
        return self.cost_of(Parameters(params))

    def cost_of(self, params: Parameters) -> ProviderCost:
        """Return what the tokens that `params` count cost; see `cost`."""
        nanos = round_price(NANOS * self.table.price(self.table.rates_for(params) or {}, params), "round")
        if nanos > MAX_AMOUNT:
            raise InvalidOperation(f"The provider's cost is more than {MAX_AMOUNT // NANOS} minor units.")
        return ProviderCost(nanos, self.currency)


def token_prices(
    models: Mapping[str, ModelPrices],
    *,
    currency: str = DEFAULT_CURRENCY,
    every: int = MILLION,
    default: ModelPrices | None = None,
) -> TokenPrices:
    """Return what the provider of each model charges for tokens, for `Operation(…, provider_cost=…)`.

    The prices of a model are money for each `every` tokens: numbers from 0 up in the currency's main unit (3, 0.075,
    Decimal("0.075")) or `dollars(3)`, given as the rates of `token_rates` are. Models that are not listed cost
    `default`, or else 0. Raises InvalidValue.
    """
    code = clean_currency(currency)
    return TokenPrices(read_table(models, every, default, lambda price: _read_price(price, code)), code)


def minor_units(nanos: int) -> Decimal:
    """Return billionths of a minor unit as minor units, exactly and without trailing zeros."""
    whole, rest = divmod(abs(nanos), NANOS)
    decimals = f".{rest:09}".rstrip("0") if rest else ""
    return Decimal(f"{'-' if nanos < 0 else ''}{whole}{decimals}")


def _read_price(price: object, currency: str) -> Fraction:
    """Return the price in minor units; a float is read by its shortest text, as everywhere."""
    if isinstance(price, Money) and price.currency == currency:
        return Fraction(price.amount)
    if (
        isinstance(price, int | float | Decimal)
        and is_finite_number(price)
        and 0 <= price <= MAX_AMOUNT // 1_000
    ):
        main = Fraction(repr(float(price)) if isinstance(price, float) else price)
        return main * int(10 ** decimal_places(currency))
    raise InvalidValue.of("price", price, f"a number from 0 up, or money, in {currency.upper()}")

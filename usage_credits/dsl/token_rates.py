"""What tokens cost in credits, at the rates of the model that they were used with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from usage_credits.dsl.costs import Cost, FixedCost
from usage_credits.dsl.parameters import Parameters
from usage_credits.dsl.rate_tables import MILLION, RateTable, read_table
from usage_credits.values import check_amount

Rate = int | FixedCost
"""Credits for `every` tokens."""

ModelRates = tuple[Rate, Rate] | Mapping[str, Rate] | int
"""A pair (input, output), a rate for each parameter that counts tokens, or 0 for free."""


@dataclass(frozen=True)
class TokenRates(Cost):
    """Credits for each kind of token, in exact proportion, at rates of the model that the parameters name."""

    table: RateTable

    def price(self, params: Parameters) -> Fraction:
        rates = self.table.rates_for(params)
        self.table.check_known(rates, params)
        return self.table.price(rates or {}, params)


def token_rates(
    models: Mapping[str, ModelRates], *, every: int = MILLION, default: ModelRates | None = None
) -> TokenRates:
    """Return a cost that charges tokens at rates of their own for each model, named by the parameter `model`.

    The rates of a model are whole credits (int, or `credits(3)`) for each `every` tokens: a pair for `input_tokens`
    and `output_tokens`, or a mapping such as `{"input_tokens": credits(3), "cached_input_tokens": credits(1)}`; 0 is
    free. `default` is for every other model; without one they are refused (InvalidOperation, which names the known
    ones). The kinds are added up as they are passed, so none may include another. Raises InvalidValue.
    """
    return TokenRates(read_table(models, every, default, _read_rate))


def _read_rate(rate: object) -> Fraction:
    return Fraction(rate.amount if isinstance(rate, FixedCost) else check_amount(rate, "rate", minimum=0))

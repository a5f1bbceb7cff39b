"""Rates for each kind of token, one set of them for each model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Any, Final

from usage_credits.dsl.parameters import Parameters
from usage_credits.dsl.units import clean_unit
from usage_credits.exceptions import InvalidOperation, InvalidValue
from usage_credits.values import check_amount, check_text

MODEL: Final = "model"
"""The parameter that names the model."""

IN_AND_OUT: Final = ("input_tokens", "output_tokens")
"""The kinds that a pair of rates stands for; where they have a rate, the caller must pass them."""

MILLION: Final = 1_000_000

_ALLOWED: Final = "a pair of rates (input, output), a mapping of parameters to rates, or 0 for free"

Rates = Mapping[str, Fraction]
"""What `every` tokens cost, by the name of the parameter that counts them."""


@dataclass(frozen=True)
class RateTable:
    """What `every` tokens of each model cost; `default` is for models that have no rates of their own."""

    models: Mapping[str, Rates]
    every: int
    default: Rates | None

    def rates_for(self, params: Mapping[str, Any]) -> Rates | None:
        """Return the rates of the model that the parameters name, else the default ones, else None.

        Raises InvalidOperation where they name none.
        """
        return self.models.get(self._model_of(params), self.default)

    def price(self, rates: Rates, params: Parameters) -> Fraction:
        """Return exactly what the tokens cost that the caller counted.

        Raises InvalidOperation for a count that is no number from 0 up, and where input or output tokens have a rate
        and are missing. Other kinds count as none where they are missing.
        """
        counted = (kind for kind in rates if kind in IN_AND_OUT or params.get(kind) is not None)
        total = sum((rates[kind] * params.quantity(kind) for kind in counted), Fraction(0))
        return total / self.every

    def check_known(self, rates: Rates | None, params: Parameters) -> None:
        """Raise InvalidOperation for a model without rates, and for tokens of a kind that only other models rate."""
        if rates is None:
            known = ", ".join(sorted(self.models))
            raise InvalidOperation(
                f"There is no rate for the model {self._model_of(params)!r}; known models: {known}."
            )
        for kind in {kind for others in self.models.values() for kind in others} - set(rates):
            if rates and params.get(kind) is not None and params.quantity(kind):
                raise InvalidOperation(f"The model {self._model_of(params)!r} has no rate for {kind!r}.")

    def _model_of(self, params: Mapping[str, Any]) -> str:
        given = params.get(MODEL)
        name = given.value if isinstance(given, Enum) else given
        if name is None:
            raise InvalidOperation(f"the parameter {MODEL!r} is missing.")
        if not isinstance(name, str):
            raise InvalidOperation(str(InvalidValue.of(MODEL, given, "the name of a model")))
        return name


def read_table(
    models: object, every: object, default: object, read_rate: Callable[[object], Fraction]
) -> RateTable:
    """Check the arguments of a definition; `read_rate` reads one rate. Raises InvalidValue that names the argument."""
    if not isinstance(models, Mapping) or not models:
        raise InvalidValue.of("models", models, "a mapping of at least one model's name to its rates")
    return RateTable(
        models={
            check_text(name, "models"): _read_rates(rates, "models", read_rate)
            for name, rates in models.items()
        },
        every=check_amount(every, "every"),
        default=None if default is None else _read_rates(default, "default", read_rate),
    )


def _read_rates(rates: object, field: str, read_rate: Callable[[object], Fraction]) -> dict[str, Fraction]:
    if type(rates) is int and rates == 0:
        return {}
    if isinstance(rates, tuple | list) and len(rates) == len(IN_AND_OUT):
        rates = dict(zip(IN_AND_OUT, rates, strict=True))
    if not isinstance(rates, Mapping) or not rates:
        raise InvalidValue.of(field, rates, _ALLOWED)
    return dict(_read_kinds(rates.items(), field, read_rate))


def _read_kinds(
    rates: Iterable[tuple[object, object]], field: str, read_rate: Callable[[object], Fraction]
) -> Iterable[tuple[str, Fraction]]:
    for kind, rate in rates:
        if kind == MODEL:
            raise InvalidValue.of(field, kind, "the name of a parameter that counts tokens")
        yield clean_unit(kind), read_rate(rate)

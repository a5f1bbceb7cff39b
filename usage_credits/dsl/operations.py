"""Priced uses: what an operation is called, when it is allowed and what it costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, Final, TypeGuard

from usage_credits.dsl.audit import json_safe
from usage_credits.dsl.costs import Cost, PriceFunction, read_cost
from usage_credits.dsl.parameters import Parameters
from usage_credits.dsl.rounding import DEFAULT_ROUNDING, Rounding, round_price
from usage_credits.dsl.token_prices import ProviderCost, TokenPrices
from usage_credits.dsl.units import lay_over
from usage_credits.exceptions import InvalidOperation, InvalidValue
from usage_credits.values import MAX_AMOUNT, check_metadata, check_operation, check_text

Rule = Callable[[Mapping[str, Any]], object]
"""Gets the normalised parameters and answers truthy for those it allows."""

Rules = Rule | tuple[Rule, str] | Iterable[Rule | tuple[Rule, str]]

_ALLOWED_RULES: Final = "a callable or (callable, message) pairs"

_TOKENS: Final = "_tokens"
"""How the names of units end that count tokens."""

DEFAULT_MESSAGE: Final = "The validation of the parameters failed."


@dataclass(frozen=True, init=False)
class Operation:
    """A use that is paid with credits.

    `costs` is a whole number of credits, a cost such as `credits(10) + credits(1).per("mb")`, or a callable
    that gets the normalised parameters. `validates` is a rule or a list of rules, each a callable or a
    (callable, message) pair; all must answer truthy before the price is worked out. `metadata` goes into the
    audit data of each charge. `provider_cost` is what a use costs you, as `token_prices(…)`: kept with each charge
    and summed up by `usage_summary`. Raises InvalidValue that names the refused argument.
    """

    name: str
    costs: Cost
    validates: tuple[tuple[Rule, str], ...]
    metadata: dict[str, Any]
    provider_cost: TokenPrices | None

    def __init__(
        self,
        name: str | Enum,
        *,
        costs: int | Cost | PriceFunction = 0,
        validates: Rules = (),
        metadata: Mapping[str, Any] | None = None,
        provider_cost: TokenPrices | None = None,
    ) -> None:
        if provider_cost is not None and not isinstance(provider_cost, TokenPrices):
            raise InvalidValue.of("provider_cost", provider_cost, "token_prices(…) or None")
        vars(self).update(
            name=check_operation(name, "name"),
            costs=read_cost(costs),
            validates=_read_rules(validates),
            metadata=check_metadata(metadata),
            provider_cost=provider_cost,
        )

    def quote(self, params: Mapping[str, Any], rounding: Rounding = DEFAULT_ROUNDING) -> Quote:
        """Check the parameters, work out the price once and return both; nothing is charged.

        Raises InvalidOperation with the message of the first rule that refuses, for parameters that are
        missing or no numbers from 0 up, and, with the cause chained, for a rule or a price that crashed.
        """
        values = Parameters(params)
        self._check_rules(values)
        price = self._price(values, rounding)
        tokens = self._tokens(values)
        cost = self.provider_cost.cost_of(values) if self.provider_cost else None
        return Quote(self, price, dict(params), tokens, cost)

    def _check_rules(self, values: Parameters) -> None:
        for rule, message in self.validates:
            try:
                allowed = bool(rule(values))
            except InvalidOperation:
                raise
            except Exception as error:
                raise InvalidOperation(f"A validation rule of {self.name!r} crashed: {error}") from error
            if not allowed:
                raise InvalidOperation(message)

    def _price(self, values: Parameters, rounding: Rounding) -> int:
        try:
            price = round_price(self.costs.price(values), rounding)
        except InvalidOperation:
            raise
        except Exception as error:
            raise InvalidOperation(f"The price of {self.name!r} could not be worked out: {error}") from error
        if price > MAX_AMOUNT:
            raise InvalidOperation(f"The price of {self.name!r} is more than 2**63 - 1 credits.")
        return price

    def _tokens(self, values: Parameters) -> int | None:
        """Return the tokens of every kind that the price counted, None where it counted none."""
        counted = [number for unit, number in values.counted.items() if unit.endswith(_TOKENS)]
        tokens = math.ceil(sum(counted))
        if tokens > MAX_AMOUNT:
            raise InvalidOperation(f"{self.name!r} counts more than 2**63 - 1 tokens.")
        return tokens if counted else None


@dataclass(frozen=True)
class Quote:
    """The price of one use, worked out once: what is checked, charged and recorded is this number."""

    operation: Operation
    price: int
    params: Mapping[str, Any]
    """As given by the caller."""
    tokens: int | None = None
    """How many tokens the price counted, of every kind; None where it counts none."""
    provider_cost: ProviderCost | None = None

    def anew(self, params: Mapping[str, Any], rounding: Rounding = DEFAULT_ROUNDING) -> Quote:
        """Quote the operation for other parameters; those that are left out stay as they were. Raises as `quote`."""
        return self.operation.quote(lay_over(self.params, params), rounding)

    def audit(self, executed_at: datetime, version: str) -> dict[str, Any]:
        """Return the metadata that a charge keeps: operation, cost, params, metadata, executed_at, version.

        `metadata` is the operation's own, nested so that it overwrites nothing. Parameters that JSON cannot
        hold become text; `executed_at` becomes ISO 8601. `provider_cost` (text, in the currency's minor unit) and
        `provider_currency` are there where the operation has a provider's cost.
        """
        cost = self.provider_cost
        paid = {"provider_cost": str(cost), "provider_currency": cost.currency} if cost else {}
        return {
            "operation": self.operation.name,
            "cost": self.price,
            "params": json_safe(self.params),
            "metadata": json_safe(self.operation.metadata),
            "executed_at": executed_at.isoformat(),
            "version": version,
            **paid,
        }


def _read_rules(validates: object) -> tuple[tuple[Rule, str], ...]:
    if callable(validates) or _is_pair(validates):
        validates = (validates,)
    if not isinstance(validates, Iterable) or isinstance(validates, str | bytes | Mapping):
        raise InvalidValue.of("validates", validates, _ALLOWED_RULES)
    return tuple(_read_rule(rule) for rule in validates)


def _read_rule(rule: object) -> tuple[Rule, str]:
    check, message = rule if _is_pair(rule) else (rule, DEFAULT_MESSAGE)
    if not callable(check):
        raise InvalidValue.of("validates", rule, _ALLOWED_RULES)
    return check, check_text(message, "validates", max_length=1_000)


def _is_pair(rule: object) -> TypeGuard[Sequence[Any]]:
    """Tell a rule with its message from a list of two rules."""
    if not isinstance(rule, tuple | list) or len(rule) != 2:
        return False
    return callable(rule[0]) and not callable(rule[1]) and not isinstance(rule[1], tuple | list)

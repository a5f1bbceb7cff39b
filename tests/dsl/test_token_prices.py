from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usage_credits import InvalidOperation, InvalidValue, Operation, dollars, euros, token_prices

PRICES = token_prices({"small": (3, 15), "mini": {"input_tokens": 0.075, "output_tokens": Decimal("0.3")}})


@pytest.mark.behaviour("TOK-15")
def test_cost_is_in_cents_and_exact() -> None:
    cost = PRICES.cost(model="small", input_tokens=1_200, output_tokens=800)
    assert (cost.amount, str(cost), cost.currency) == (Decimal("1.56"), "1.56", "usd")


@pytest.mark.behaviour("TOK-15")
@pytest.mark.parametrize("model", ["gpt-9", "SMALL"])
def test_model_without_a_price_costs_nothing(model: str) -> None:
    assert PRICES.cost(model=model, input_tokens=1_200, output_tokens=800).amount == 0


def test_default_is_for_every_other_model() -> None:
    prices = token_prices({"small": (3, 15)}, default=(1, 1))
    assert prices.cost(model="gpt-9", input_tokens=500_000, output_tokens=500_000).amount == 100


@pytest.mark.parametrize(
    ("prices", "cost"),
    [
        (token_prices({"m": (dollars(3), dollars(15))}), "1800"),
        (token_prices({"m": (3, 15)}, currency="JPY"), "18"),
        (token_prices({"m": (3, 15)}, currency="kwd"), "18000"),
        (token_prices({"m": (3, 15)}, every=3), "600000000"),
        (token_prices({"m": {"output_tokens": 1}}, every=3_000_000), "33.333333333"),
    ],
)
def test_price_is_of_every_so_many_tokens_in_the_currency(prices: Any, cost: str) -> None:
    assert str(prices.cost(model="m", input_tokens=1_000_000, output_tokens=1_000_000)) == cost


@given(tokens=st.integers(0, 10**10))
def test_cost_of_one_model_is_exact_to_a_billionth_of_a_cent(tokens: int) -> None:
    cost = PRICES.cost(model="mini", input_tokens=tokens, output_tokens=0)
    assert Fraction(cost.amount) == Fraction(tokens * 75, 10_000_000)


def test_quote_and_its_audit_say_what_the_use_costs() -> None:
    operation = Operation("chat", costs=1, provider_cost=PRICES)
    quoted = operation.quote({"model": "small", "input_tokens": 1_200, "output_tokens": 800})
    assert quoted.provider_cost is not None
    assert (quoted.price, quoted.provider_cost.amount) == (1, Decimal("1.56"))


@pytest.mark.parametrize(
    "params",
    [
        {"input_tokens": 1, "output_tokens": 1},
        {"model": "small", "input_tokens": 1},
        {"model": "small", "input_tokens": -1, "output_tokens": 1},
        {"model": "small", "input_tokens": 2**63 - 1, "output_tokens": 2**63 - 1},
    ],
    ids=str,
)
def test_use_whose_cost_cannot_be_told_is_refused(params: dict[str, Any]) -> None:
    with pytest.raises(InvalidOperation):
        PRICES.cost(**params)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"models": {}}, "models"),
        ({"models": {"m": 3}}, "models"),
        ({"models": {"m": (3, -1)}}, "price"),
        ({"models": {"m": (3, float("nan"))}}, "price"),
        ({"models": {"m": (3, "15")}}, "price"),
        ({"models": {"m": (3, True)}}, "price"),
        ({"models": {"m": (3, euros(15))}}, "price"),
        ({"models": {"m": (3, 15)}, "currency": "dollars"}, "currency"),
        ({"models": {"m": (3, 15)}, "every": 1.5}, "every"),
    ],
    ids=str,
)
def test_definition_is_refused_by_the_name_of_the_argument(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        token_prices(**arguments)
    assert caught.value.field == field


@pytest.mark.parametrize("value", [3, dollars(3), {"m": (3, 15)}, lambda params: 3])
def test_operation_refuses_a_provider_cost_that_is_none(value: Any) -> None:
    with pytest.raises(InvalidValue) as caught:
        Operation("chat", provider_cost=value)
    assert caught.value.field == "provider_cost"

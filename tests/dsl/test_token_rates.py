from __future__ import annotations

from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dsl.pricing import price_of
from usage_credits import InvalidOperation, InvalidValue, Operation, credits, token_rates

RATES = token_rates(
    {
        "small": (credits(3), credits(15)),
        "large": {
            "input_tokens": credits(30),
            "output_tokens": 150,
            "cached_input_tokens": 3,
            "reasoning_tokens": 60,
        },
        "embed": {"input_tokens": 1},
        "local": 0,
    },
    every=1_000,
)


class Model(Enum):
    SMALL = "small"


@pytest.mark.parametrize(
    ("params", "price"),
    [
        ({"model": "small", "input_tokens": 1_200, "output_tokens": 350}, 9),
        ({"model": Model.SMALL, "input_tokens": 1_000, "output_tokens": 0}, 3),
        ({"model": "large", "input_tokens": 1_000, "output_tokens": 1_000}, 180),
        ({"model": "large", "input_tokens": 0, "output_tokens": 0, "cached_input_tokens": 2_000}, 6),
        ({"model": "large", "input_tokens": 0, "output_tokens": 0, "reasoning_tokens": 1_000}, 60),
        ({"model": "embed", "input_tokens": 2_001}, 3),
        ({"model": "embed", "input_tokens": 2_001, "output_tokens": 0}, 3),
        ({"model": "local", "input_tokens": 5_000, "output_tokens": 5_000, "reasoning_tokens": 9}, 0),
        ({"model": "small", "input_tokens": 0, "output_tokens": 0}, 0),
    ],
)
def test_tokens_are_priced_at_the_rates_of_their_model(params: dict[str, Any], price: int) -> None:
    assert price_of(RATES, **params) == price


@pytest.mark.behaviour("DEC-19")
def test_sum_with_other_costs_is_rounded_once() -> None:
    costs = credits(1) + RATES + RATES
    assert price_of(costs, model="small", input_tokens=100, output_tokens=0) == 2


@given(
    counts=st.tuples(*[st.integers(0, 10**12)] * 2),
    rates=st.tuples(*[st.integers(0, 10**6)] * 2),
    every=st.integers(1, 10**6),
)
def test_price_is_the_exact_sum_rounded_up(
    counts: tuple[int, int], rates: tuple[int, int], every: int
) -> None:
    exact = Fraction(counts[0] * rates[0] + counts[1] * rates[1], every)
    costs = token_rates({"any": rates}, every=every)
    price = price_of(costs, model="any", input_tokens=counts[0], output_tokens=counts[1])
    assert price - 1 < exact <= price


def test_model_without_rates_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidOperation, match=r"'gpt-9'; known models: embed, large, local, small\."):
        price_of(RATES, model="gpt-9", input_tokens=1, output_tokens=1)


@pytest.mark.parametrize(("default", "price"), [((1, 2), 3), ({"input_tokens": 5}, 5), (0, 0)])
def test_default_is_for_every_other_model(default: Any, price: int) -> None:
    costs = token_rates({"small": (3, 15)}, every=1_000, default=default)
    known = {"model": "small", "input_tokens": 1_000, "output_tokens": 1_000}
    assert price_of(costs, **known) == 18
    other = {"model": "gpt-9", "input_tokens": 1_000, "output_tokens": 0 if price == 5 else 1_000}
    assert price_of(costs, **other) == price


@pytest.mark.parametrize("default", [None, 0])
@pytest.mark.parametrize(
    ("params", "refusal"),
    [
        ({"input_tokens": 1, "output_tokens": 1}, "'model' is missing"),
        ({"model": None, "input_tokens": 1, "output_tokens": 1}, "'model' is missing"),
        ({"model": 5, "input_tokens": 1, "output_tokens": 1}, "model: got 5"),
        ({"model": "small", "input_tokens": 1}, "'output_tokens' is missing"),
        ({"model": "small", "output_tokens": 1}, "'input_tokens' is missing"),
        ({"model": "small", "input_tokens": -1, "output_tokens": 1}, "'input_tokens' is -1"),
        ({"model": "small", "input_tokens": True, "output_tokens": 1}, "'input_tokens' is True"),
        ({"model": "small", "input_tokens": "9", "output_tokens": 1}, "'input_tokens' is '9'"),
        (
            {"model": "small", "input_tokens": 1, "output_tokens": 1, "reasoning_tokens": 1},
            "'small' has no rate for 'reasoning_tokens'",
        ),
        (
            {"model": "embed", "input_tokens": 1, "output_tokens": 7},
            "'embed' has no rate for 'output_tokens'",
        ),
        (
            {"model": "large", "input_tokens": 1, "output_tokens": 1, "cached_input_tokens": -1},
            "'cached_input_tokens' is -1",
        ),
    ],
    ids=lambda value: str(value)[:40],
)
def test_use_that_cannot_be_priced_is_refused(params: dict[str, Any], refusal: str, default: Any) -> None:
    models: Any = {
        "small": (3, 15),
        "large": {"input_tokens": 1, "output_tokens": 1, "cached_input_tokens": 1, "reasoning_tokens": 1},
        "embed": {"input_tokens": 1},
    }
    with pytest.raises(InvalidOperation) as caught:
        price_of(token_rates(models, default=default), **params)
    assert refusal in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"models": {}}, "models"),
        ({"models": [("small", (3, 15))]}, "models"),
        ({"models": {"": (3, 15)}}, "models"),
        ({"models": {5: (3, 15)}}, "models"),
        ({"models": {"small": 3}}, "models"),
        ({"models": {"small": False}}, "models"),
        ({"models": {"small": (3,)}}, "models"),
        ({"models": {"small": {}}}, "models"),
        ({"models": {"small": {"model": 3}}}, "models"),
        ({"models": {"small": {"input tokens": 3}}}, "unit"),
        ({"models": {"small": {"amount": 3}}}, "unit"),
        ({"models": {"small": (3, -1)}}, "rate"),
        ({"models": {"small": (3, 1.5)}}, "rate"),
        ({"models": {"small": (3, True)}}, "rate"),
        ({"models": {"small": (3, 15)}, "every": 0}, "every"),
        ({"models": {"small": (3, 15)}, "default": 7}, "default"),
    ],
    ids=str,
)
def test_definition_is_refused_by_the_name_of_the_argument(arguments: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        token_rates(**arguments)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("costs", "params", "tokens"),
    [
        (RATES, {"model": "small", "input_tokens": 1_200, "output_tokens": 350}, 1_550),
        (RATES + RATES, {"model": "embed", "input_tokens": 7}, 7),
        (credits(3).per("input_tokens", every=1_000), {"input_tokens": Decimal("2.5")}, 3),
        (lambda params: RATES, {"model": "embed", "input_tokens": 7}, 7),
        (credits(3).per("words"), {"words": 5}, None),
        (5, {"input_tokens": 5}, None),
    ],
)
def test_quote_counts_the_tokens_that_are_priced(
    costs: Any, params: dict[str, Any], tokens: int | None
) -> None:
    assert Operation("any", costs=costs).quote(params).tokens == tokens


def test_more_tokens_than_a_column_holds_are_refused() -> None:
    costs = token_rates({"any": (0, 0)})
    with pytest.raises(InvalidOperation, match="tokens"):
        price_of(costs, model="any", input_tokens=2**63 - 1, output_tokens=1)

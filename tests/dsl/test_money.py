from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usage_credits import InvalidValue, Money, cents, dollars, euros, pounds
from usage_credits.dsl.conversion import credits_per_unit, credits_to_money, money_to_credits
from usage_credits.dsl.rounding import Rounding


@pytest.mark.behaviour("CST-20", "DEC-09", "DEC-24")
def test_money_is_whole_minor_units_of_its_currency() -> None:
    assert dollars(49) == Money(4_900, "usd")
    assert dollars(19.99) == Money(1_999, "usd")
    assert dollars(Decimal("0.5")) == Money(50, "usd")
    assert euros(7) == Money(700, "eur")
    assert pounds(2.5) == Money(250, "gbp")
    assert cents(99) == Money(99, "usd")
    assert cents(99, "EUR") == Money(99, "eur")
    assert int(dollars(19.99)) == 1_999


@pytest.mark.behaviour("CST-20")
@given(st.integers(0, 10_000_000))
def test_dollars_reads_every_float_with_two_decimals_exactly(amount: int) -> None:
    assert int(dollars(amount / 100)) == amount


@pytest.mark.parametrize("make", [dollars, euros, pounds])
@pytest.mark.parametrize(
    "amount",
    [19.999, -1, True, "49", None, float("nan"), float("inf"), Decimal("0.001"), 10**30, Decimal("1e99")],
)
def test_money_refuses_amounts_it_cannot_hold(make: Any, amount: Any) -> None:
    with pytest.raises(InvalidValue, match=r"^amount: got .* at most 2 decimals"):
        make(amount)


@pytest.mark.parametrize("amount", [9.5, -1, True, "99", None])
def test_cents_refuses_what_is_no_whole_number(amount: Any) -> None:
    with pytest.raises(InvalidValue, match=r"^amount: got"):
        cents(amount)


@pytest.mark.behaviour("DEC-24")
@pytest.mark.parametrize("currency", ["", "us", "dollar", "u$d", "öre", None, 5])
def test_money_refuses_what_is_no_three_letter_code(currency: Any) -> None:
    with pytest.raises(InvalidValue, match=r"^currency: got .* three-letter"):
        cents(1, currency)


@pytest.mark.behaviour("DEC-24", "PAC-05")
@pytest.mark.parametrize(
    ("money", "text"),
    [
        (dollars(49), "49.00 USD"),
        (cents(99), "0.99 USD"),
        (euros(49.99), "49.99 EUR"),
        (cents(500, "jpy"), "500 JPY"),
        (cents(5_120, "kwd"), "5.120 KWD"),
        (cents(0), "0.00 USD"),
        (cents(2**63 - 1), "92233720368547758.07 USD"),
    ],
)
def test_money_reads_in_the_main_unit_of_its_currency(money: Money, text: str) -> None:
    assert str(money) == text


@pytest.mark.behaviour("CST-18")
@pytest.mark.parametrize(
    ("amount", "rate", "rounding", "expected"),
    [
        (100, 10, "ceil", 10),
        (333, 10, "ceil", 34),
        (333, 10, "floor", 33),
        (0, 10, "ceil", 0),
        (100, 0.5, "ceil", 1),
        (1_000, 0.01, "ceil", 1),
        (-100, 10, "ceil", -10),
    ],
)
def test_money_converts_to_credits(amount: int, rate: float, rounding: Rounding, expected: int) -> None:
    assert money_to_credits(amount, rate, rounding=rounding) == expected


@pytest.mark.behaviour("CST-19")
@pytest.mark.parametrize(
    ("amount", "rate", "rounding", "expected"),
    [(10, 10, "ceil", 100), (5, 12, "ceil", 42), (5, 12, "floor", 41), (0, 10, "ceil", 0)],
)
def test_credits_convert_to_money(amount: int, rate: float, rounding: Rounding, expected: int) -> None:
    assert credits_to_money(amount, rate, rounding=rounding) == expected


@pytest.mark.behaviour("CST-19")
@pytest.mark.parametrize("rate", [0, 0.0, -1, True, "10", None, float("nan")])
def test_credits_do_not_convert_at_a_rate_that_is_not_above_zero(rate: Any) -> None:
    with pytest.raises(InvalidValue, match=r"^rate: got"):
        credits_to_money(10, rate)


@pytest.mark.parametrize("amount", [1.5, True, "100", None])
def test_conversion_refuses_amounts_that_are_not_whole(amount: Any) -> None:
    with pytest.raises(InvalidValue, match=r"^amount: got"):
        money_to_credits(amount, 10)


def test_conversion_counts_in_the_minor_units_of_the_currency() -> None:
    assert money_to_credits(500, 2, currency="jpy") == 1_000
    assert credits_to_money(1, 1, currency="KWD") == 1_000


@pytest.mark.behaviour("PAC-06")
def test_credits_per_unit_is_zero_for_what_costs_nothing() -> None:
    assert credits_per_unit(1_000, cents(0)) == 0
    assert credits_per_unit(1_000, dollars(50)) == 20

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dsl.pricing import price_of
from usage_credits import InvalidAmount, InvalidOperation, InvalidValue, Operation, credits
from usage_credits.dsl.rounding import Rounding, round_price

MEGABYTE = 1024**2


@pytest.mark.behaviour("CST-01")
def test_price_is_the_fixed_amount_for_any_parameters() -> None:
    assert price_of(credits(25)) == 25
    assert price_of(credits(25), mb=7, anything="else") == 25


@pytest.mark.behaviour("CST-01")
def test_price_is_zero_without_costs() -> None:
    assert Operation("free").quote({}).price == 0


@pytest.mark.behaviour("CST-02", "CST-04", "DEC-09", "DEC-22")
@pytest.mark.parametrize("amount", [10.5, -1, True, "10", Decimal(10), None, 2**63])
def test_credits_refuses_what_is_no_whole_number_from_zero_up(amount: Any) -> None:
    with pytest.raises(InvalidAmount, match=r"^credits: got"):
        credits(amount)


@pytest.mark.behaviour("CST-03", "DEC-22")
@pytest.mark.parametrize("amount", [-5, True, 1.5, "10", None, 2**63])
def test_definition_refuses_costs_that_are_no_whole_number(amount: Any) -> None:
    with pytest.raises(InvalidValue) as caught:
        Operation("bad", costs=amount)
    assert caught.value.field == "costs"


@pytest.mark.behaviour("CST-05", "CST-06")
@pytest.mark.parametrize("unit", ["mb", "MB", "megabyte", "Megabytes"])
def test_per_knows_megabytes_by_every_name(unit: str) -> None:
    assert price_of(credits(2).per(unit), size=10 * MEGABYTE) == 20


@pytest.mark.behaviour("CST-05", "CST-06")
@pytest.mark.parametrize("unit", ["kb", "kilobyte", "KiloBytes"])
def test_per_knows_kilobytes_by_every_name(unit: str) -> None:
    assert price_of(credits(1).per(unit), mb=2) == 2048


@pytest.mark.behaviour("CST-05", "CST-06")
@pytest.mark.parametrize("unit", ["GB", "gigabyte", "gigabytes"])
def test_per_knows_gigabytes_by_every_name(unit: str) -> None:
    assert price_of(credits(10).per(unit), mb=512) == 5


@pytest.mark.behaviour("CST-05")
@pytest.mark.parametrize("unit", ["unit", "units", "UNITS"])
@pytest.mark.parametrize("spelling", ["unit", "units"])
def test_per_knows_unit_and_units_as_one(unit: str, spelling: str) -> None:
    assert price_of(credits(1).per(unit), **{spelling: 100}) == 100


@pytest.mark.behaviour("DEC-18")
@pytest.mark.parametrize("unit", ["input tokens", "", "1st", "class", "a-b", None, 5])
def test_per_refuses_a_unit_that_no_parameter_can_have_as_name(unit: Any) -> None:
    with pytest.raises(InvalidValue, match=r"^unit: got"):
        credits(1).per(unit)


@pytest.mark.behaviour("DEC-18")
@pytest.mark.parametrize("unit", ["amount", "metadata", "ttl", "attributed_to", "idempotency_key"])
def test_per_refuses_the_name_of_a_spending_option(unit: str) -> None:
    with pytest.raises(InvalidValue, match=r"options"):
        credits(1).per(unit)


@pytest.mark.parametrize("every", [0, -1, 1.5, True, "2"])
def test_per_refuses_a_step_below_one(every: Any) -> None:
    with pytest.raises(InvalidAmount, match=r"^every: got"):
        credits(1).per("tokens", every=every)


@pytest.mark.behaviour("CST-08", "DEC-22")
def test_price_counts_units_in_every_way_they_are_given() -> None:
    assert price_of(credits(2).per("mb"), mb=10) == 20
    assert price_of(credits(1).per("mb"), size=5 * MEGABYTE) == 5
    assert price_of(credits(1).per("unit"), units=100) == 100
    assert price_of(credits(1).per("unit"), units=0) == 0
    assert price_of(credits(1).per("mb"), mb=Decimal("2.0")) == 2


@pytest.mark.behaviour("DEC-18")
def test_price_counts_any_parameter_named_as_unit() -> None:
    chat = credits(3).per("input_tokens", every=1_000) + credits(15).per("output_tokens", every=1_000)
    assert price_of(chat, input_tokens=2_000, output_tokens=1_000) == 21
    assert price_of(chat, input_tokens=1, output_tokens=0) == 1
    assert price_of(chat, input_tokens=100, output_tokens=20) == 1


@pytest.mark.behaviour("DEC-18", "DEC-22", "OPS-05")
@pytest.mark.parametrize("unit", ["tokens", "units", "mb", "kb", "gb", "size"])
@pytest.mark.parametrize(
    "value",
    [
        None,
        -1,
        -0.5,
        "5",
        "abc",
        True,
        float("nan"),
        float("inf"),
        Decimal("-Infinity"),
        Decimal("sNaN"),
        [1],
    ],
)
def test_price_refuses_quantities_that_are_no_numbers_from_zero_up(unit: str, value: Any) -> None:
    with pytest.raises(InvalidOperation, match=rf"'{unit}'"):
        price_of(credits(1).per(unit), **{unit: value})


@pytest.mark.parametrize(
    "value", [Decimal("1e999999"), Decimal("1e-999999"), 1e300, pytest.param(10**5000, id="huge")]
)
def test_price_refuses_numbers_too_large_or_too_fine_to_read(value: Any) -> None:
    with pytest.raises(InvalidOperation, match=r"'mb'"):
        price_of(credits(1).per("mb"), mb=value)


@pytest.mark.behaviour("DEC-22")
@pytest.mark.parametrize("unit", ["kb", "mb", "gb", "size"])
def test_price_refuses_a_missing_size(unit: str) -> None:
    with pytest.raises(InvalidOperation, match=rf"'{unit}' is missing .*size_mb"):
        price_of(credits(1).per(unit))


@pytest.mark.behaviour("DEC-18")
def test_price_names_the_missing_parameter() -> None:
    with pytest.raises(InvalidOperation, match=r"'steps' is missing"):
        price_of(credits(1).per("steps"), mb=1)


@pytest.mark.behaviour("CST-09")
def test_price_of_a_sum_adds_its_parts() -> None:
    assert price_of(credits(10) + credits(1).per("mb"), mb=5) == 15
    assert price_of(credits(5) + credits(2).per("mb"), mb=10) == 25
    assert price_of(credits(1) + credits(1).per("mb") + credits(1).per("kb") + credits(3), mb=1) == 1029


@pytest.mark.behaviour("CST-10")
def test_sum_is_the_same_however_it_is_grouped() -> None:
    fixed, per_mb, per_unit = credits(1), credits(2).per("mb"), credits(3).per("unit")
    assert (fixed + per_mb) + per_unit == fixed + (per_mb + per_unit)
    assert price_of(fixed + (per_mb + per_unit), mb=2, units=3) == 14
    assert price_of((per_unit + per_mb) + fixed, mb=2, units=3) == 14


@pytest.mark.behaviour("CST-11")
@pytest.mark.parametrize("other", [1, 1.5, "mb", None, [], credits(1).every("month")])
def test_sum_refuses_what_is_no_cost(other: Any) -> None:
    with pytest.raises(TypeError):
        credits(1) + other
    with pytest.raises(TypeError):
        other + credits(1).per("mb")


def test_definition_refuses_an_allowance_as_cost() -> None:
    allowance: Any = credits(1).every("month")
    with pytest.raises(InvalidValue, match=r"for what plans give"):
        Operation("bad", costs=allowance)


@pytest.mark.behaviour("CST-12")
def test_callable_cost_gets_the_normalised_parameters() -> None:
    assert price_of(lambda params: params["multiplier"] * 10, multiplier=5) == 50
    assert price_of(lambda params: params["mb"] + params["size"] + params["units"], size_mb=1, unit=2) == (
        1 + MEGABYTE + 2
    )


@pytest.mark.behaviour("CST-13")
@pytest.mark.parametrize("result", [10.5, -10, True, "10", None, Decimal(3)])
def test_callable_cost_refuses_a_result_that_is_no_whole_number(result: Any) -> None:
    with pytest.raises(InvalidOperation, match=r"could not be worked out") as caught:
        price_of(lambda params: result)
    assert isinstance(caught.value.__cause__, InvalidAmount)


@pytest.mark.behaviour("CST-13")
def test_callable_cost_may_return_another_cost() -> None:
    assert price_of(lambda params: credits(1) + credits(2).per("mb"), mb=1.2) == 4
    assert price_of(lambda params: credits(7)) == 7


def test_callable_cost_that_returns_itself_is_refused() -> None:
    def endless(params: Any) -> Any:
        return Operation("inner", costs=endless).costs

    with pytest.raises(InvalidOperation, match=r"could not be worked out"):
        price_of(endless)


@pytest.mark.behaviour("CST-14")
@pytest.mark.parametrize(
    ("exact", "rounding", "rounded"),
    [
        ("2.5", "ceil", 3),
        ("2.9", "floor", 2),
        ("2.4", "round", 2),
        ("2.6", "round", 3),
        ("5.5", "round", 6),
        ("2.5", "round", 3),
        ("4", "ceil", 4),
        ("4", "floor", 4),
        ("4", "round", 4),
        ("-5.3", "ceil", -5),
        ("-5.3", "floor", -6),
    ],
)
def test_round_price_follows_the_rounding(exact: str, rounding: Rounding, rounded: int) -> None:
    assert round_price(Fraction(exact), rounding) == rounded


@pytest.mark.parametrize("rounding", ["banker", "CEIL", None, 1])
def test_round_price_refuses_an_unknown_rounding(rounding: Any) -> None:
    with pytest.raises(InvalidValue, match='"ceil", "floor" or "round"'):
        round_price(Fraction(1), rounding)


@pytest.mark.behaviour("CST-15")
def test_price_is_rounded_up_unless_said_otherwise() -> None:
    assert Operation("up", costs=credits(1).per("mb")).quote({"mb": 1.01}).price == 2


@pytest.mark.behaviour("CST-16", "CST-17", "DEC-19")
def test_price_is_rounded_once_at_the_end() -> None:
    assert price_of(credits(2).per("mb"), mb=1.2) == 3
    assert price_of(credits(1).per("mb") + credits(2).per("mb"), mb=1.2) == 4


@pytest.mark.behaviour("DEC-09")
def test_price_reads_a_float_as_it_is_written() -> None:
    assert price_of(credits(10).per("mb"), mb=0.1) == 1
    assert price_of(credits(3).per("units"), units=1.1 + 2.2 - 3.3 + 0.1) == 1
    assert price_of(credits(100).per("gb"), gb=0.07) == 7


def test_price_beyond_a_64_bit_amount_is_refused() -> None:
    with pytest.raises(InvalidOperation, match=r"2\*\*63"):
        price_of(credits(2**62) + credits(2**62))
    assert price_of(credits(2**63 - 1)) == 2**63 - 1


@pytest.mark.behaviour("CST-17", "DEC-19")
@given(
    rates=st.lists(st.integers(0, 1_000), min_size=1, max_size=6),
    hundredths=st.integers(0, 10_000),
    fixed=st.integers(0, 50),
)
def test_price_of_any_sum_is_the_exact_sum_rounded_up(rates: list[int], hundredths: int, fixed: int) -> None:
    costs: Any = credits(fixed)
    for rate in rates:
        costs = costs + credits(rate).per("mb")
    exact = fixed + sum(rates) * Fraction(hundredths, 100)
    assert price_of(costs, mb=hundredths / 100) == -(-exact.numerator // exact.denominator)

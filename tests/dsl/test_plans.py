from __future__ import annotations

from datetime import timedelta
from enum import Enum
from typing import Any

import pytest

from usage_credits import InvalidValue, SubscriptionPlan, credits
from usage_credits.dsl.periods import Period

MONTHLY = credits(500).every("month")


class Billing(Enum):
    YEAR = "year"


def plan(**changes: Any) -> SubscriptionPlan:
    return SubscriptionPlan(**{"name": "pro", "gives": MONTHLY, **changes})


@pytest.mark.behaviour("PLN-01")
def test_plan_has_nothing_but_its_allowance_unless_given() -> None:
    fresh = plan()
    assert (fresh.signup_bonus, fresh.trial_includes, fresh.expire_after, fresh.archived) == (
        0,
        0,
        None,
        False,
    )
    assert (fresh.rolls_over, fresh.metadata, fresh.price_ids) == (False, {}, ())


@pytest.mark.behaviour("PLN-02")
@pytest.mark.parametrize(
    ("period", "iso"), [("month", "P1M"), ("week", "P7D"), ("year", "P1Y"), (timedelta(days=14), "P14D")]
)
def test_plan_gives_an_amount_every_period(period: Any, iso: str) -> None:
    weekly = plan(gives=credits(500).every(period))
    assert (weekly.amount, weekly.period.iso) == (500, iso)


@pytest.mark.behaviour("PLN-03", "PLN-04", "PLN-05", "CFG-13")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", " "),
        ("name", None),
        ("gives", 500),
        ("gives", credits(500)),
        ("gives", None),
        ("signup_bonus", -1),
        ("signup_bonus", 1.5),
        ("trial_includes", -1),
        ("trial_includes", True),
        ("unused_credits", "keep"),
        ("unused_credits", None),
        ("unused_credits", "Expire"),
        ("expire_after", timedelta(days=-1)),
        ("expire_after", 30),
        ("expire_after", False),
        ("expire_after", "30 days"),
        ("stripe_price", {}),
        ("stripe_price", ""),
        ("stripe_price", {"month": ""}),
        ("stripe_price", {" ": "price_m"}),
        ("stripe_price", {"month": None}),
        ("stripe_price", 5),
        ("archived", "yes"),
        ("metadata", [1]),
    ],
)
def test_plan_refuses_values_and_names_their_field(field: str, value: Any) -> None:
    with pytest.raises(InvalidValue) as caught:
        plan(**{field: value})
    assert caught.value.field == field


@pytest.mark.behaviour("PLN-03")
def test_allowance_refuses_an_amount_of_zero() -> None:
    with pytest.raises(InvalidValue, match=r"^gives: got 0"):
        credits(0).every("month")


@pytest.mark.behaviour("PLN-03")
def test_allowance_refuses_what_is_no_period() -> None:
    with pytest.raises(InvalidValue, match=r"^period: got 'fortnight'"):
        credits(5).every("fortnight")


@pytest.mark.behaviour("PLN-04")
def test_plan_rolls_over_only_when_told() -> None:
    assert plan(unused_credits="rollover").rolls_over
    assert not plan(unused_credits="expire").rolls_over


@pytest.mark.behaviour("PLN-05", "PLN-06")
def test_single_price_is_read_without_a_period() -> None:
    single = plan(stripe_price="price_m")
    assert single.price_ids == ("price_m",)
    assert single.price_id() == "price_m"
    assert single.price_id("month") is None
    assert single.prices == {"default": "price_m"}


@pytest.mark.behaviour("PLN-05", "PLN-06")
def test_prices_by_period_are_read_by_their_period() -> None:
    several = plan(stripe_price={"month": "price_m", Billing.YEAR: "price_y", 7: "price_7"})
    assert several.price_ids == ("price_m", "price_y", "price_7")
    assert several.price_id("year") == several.price_id(Billing.YEAR) == "price_y"
    assert several.price_id("7") == "price_7"
    assert several.price_id("decade") is None
    assert several.price_id() is None
    assert several.prices == {"month": "price_m", "year": "price_y", "7": "price_7"}


@pytest.mark.behaviour("PLN-06")
def test_plan_without_a_price_has_none_to_read() -> None:
    assert plan().prices == {}
    assert plan().price_id() is None
    assert plan().price_id("month") is None


@pytest.mark.behaviour("PLN-07")
def test_plan_matches_each_of_its_price_ids() -> None:
    several = plan(stripe_price={"month": "price_m", "year": "price_y"})
    assert several.matches("price_m")
    assert several.matches("price_y")
    assert not several.matches("price_x")
    assert not several.matches(None)
    assert not plan().matches(None)


@pytest.mark.parametrize(
    ("given", "kept"), [(None, None), (0, timedelta(0)), (timedelta(days=30), timedelta(days=30))]
)
def test_plan_keeps_how_long_credits_last_after_the_end(given: Any, kept: timedelta | None) -> None:
    assert plan(expire_after=given).expire_after == kept


def test_plan_reads_its_period_from_its_allowance() -> None:
    assert plan().period == Period(1)

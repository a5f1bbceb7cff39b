from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from enum import Enum
from typing import Any

import pytest

from usage_credits import CreditPack, InvalidValue, Operation, SubscriptionPlan, cents, credits, dollars
from usage_credits.dsl.catalogue import Catalogue

MAIL = Operation("mail", costs=1)
STARTER: Any = CreditPack("starter", gives=1_000, costs=dollars(49))
PRO = SubscriptionPlan(
    "pro", gives=credits(500).every("month"), stripe_price={"month": "price_m", "year": "price_y"}
)
FREE: Any = SubscriptionPlan("free", gives=credits(10).every("day"))


class Name(Enum):
    MAIL = "mail"
    STARTER = "starter"
    PRO = "pro"


@pytest.mark.behaviour("CFG-18", "OPS-16", "PAC-10", "PLN-07")
def test_lookup_finds_definitions_by_name_and_price() -> None:
    catalogue = Catalogue.of([MAIL], [STARTER], [PRO, FREE])
    assert catalogue.operation("mail") is catalogue.operation(Name.MAIL) is MAIL
    assert catalogue.pack("starter") is catalogue.pack(Name.STARTER) is STARTER
    assert catalogue.plan("pro") is catalogue.plan(Name.PRO) is PRO
    assert catalogue.plan_for_price("price_m") is catalogue.plan_for_price("price_y") is PRO


@pytest.mark.behaviour("CFG-18", "PAC-10", "PLN-07")
@pytest.mark.parametrize("name", ["unknown", None, 5, [], "price_x"])
def test_lookup_of_anything_unknown_is_none(name: Any) -> None:
    catalogue = Catalogue.of([MAIL], [STARTER], [PRO, FREE])
    assert catalogue.operation(name) is None
    assert catalogue.pack(name) is None
    assert catalogue.plan(name) is None
    assert catalogue.plan_for_price(name) is None


@pytest.mark.behaviour("PAC-10")
def test_catalogue_lists_its_definitions_in_their_order() -> None:
    hundred = CreditPack("hundred", gives=100, costs=cents(1_000))
    catalogue = Catalogue.of([MAIL], [STARTER, hundred], [PRO, FREE])
    assert catalogue.packs == (STARTER, hundred)
    assert catalogue.plans == (PRO, FREE)
    assert catalogue.operation_names == ("mail",)


@pytest.mark.parametrize(
    ("packs", "plans", "key"),
    [
        ([replace(STARTER, scope=["mail", "fly"])], [], "CREDIT_PACKS"),
        ([], [replace(FREE, scope=["fly"])], "SUBSCRIPTION_PLANS"),
    ],
)
def test_catalogue_refuses_a_scope_with_an_operation_that_there_is_not(
    packs: Any, plans: Any, key: str
) -> None:
    with pytest.raises(InvalidValue, match=r"no operation 'fly' for the .* known operations: mail") as caught:
        Catalogue.of([MAIL], packs, plans)
    assert caught.value.field == key
    assert Catalogue.of([MAIL], [replace(STARTER, scope=[Name.MAIL])]).packs[0].scope == ("mail",)


@pytest.mark.behaviour("OPS-01", "CFG-13")
@pytest.mark.parametrize(
    ("lists", "key"),
    [
        (([MAIL, Operation("mail")], [], []), "OPERATIONS"),
        (([], [STARTER, STARTER], []), "CREDIT_PACKS"),
        (([], [], [FREE, FREE]), "SUBSCRIPTION_PLANS"),
    ],
)
def test_catalogue_refuses_a_name_defined_twice(lists: Any, key: str) -> None:
    with pytest.raises(InvalidValue, match=r"is defined twice") as caught:
        Catalogue.of(*lists)
    assert caught.value.field == key


@pytest.mark.parametrize(
    ("lists", "key"),
    [
        (([STARTER], [], []), "OPERATIONS"),
        (([], ["starter"], []), "CREDIT_PACKS"),
        (([], [], [credits(1)]), "SUBSCRIPTION_PLANS"),
    ],
)
def test_catalogue_refuses_definitions_of_another_kind(lists: Any, key: str) -> None:
    with pytest.raises(InvalidValue, match=r"allowed is (Operation|CreditPack|SubscriptionPlan)\(") as caught:
        Catalogue.of(*lists)
    assert caught.value.field == key


@pytest.mark.behaviour("CFG-15")
def test_catalogue_refuses_a_price_id_in_two_plans() -> None:
    other = SubscriptionPlan("other", gives=credits(1).every("day"), stripe_price="price_y")
    with pytest.raises(InvalidValue, match=r"'price_y' is in the plans 'pro', 'other'") as caught:
        Catalogue.of(plans=[PRO, other])
    assert caught.value.field == "SUBSCRIPTION_PLANS"


@pytest.mark.behaviour("CFG-09", "CFG-10", "PER-04", "PER-06", "PER-14")
def test_catalogue_refuses_a_plan_below_the_minimum_period() -> None:
    half_hourly = SubscriptionPlan("fast", gives=credits(1).every("30 minutes"))
    for minimum in (timedelta(days=1), timedelta(hours=1)):
        with pytest.raises(
            InvalidValue, match=r"'fast' has a period of PT30M.*MIN_FULFILLMENT_PERIOD"
        ) as caught:
            Catalogue.of(plans=[half_hourly], minimum_period=minimum)
        assert caught.value.field == "SUBSCRIPTION_PLANS"
    assert Catalogue.of(plans=[half_hourly], minimum_period=timedelta(minutes=30)).plans == (half_hourly,)


@pytest.mark.behaviour("CFG-10")
def test_catalogue_accepts_a_period_equal_to_the_minimum() -> None:
    fast = SubscriptionPlan("fast", gives=credits(1).every("2 seconds"))
    assert Catalogue.of(plans=[fast], minimum_period=timedelta(seconds=2)).plan("fast") is fast


@pytest.mark.behaviour("CFG-17")
def test_grace_longer_than_an_expiring_period_logs_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    rolling = SubscriptionPlan("rolling", gives=credits(1).every("day"), unused_credits="rollover")
    Catalogue.of(plans=[FREE, rolling, PRO], grace=timedelta(days=2))
    assert [record.getMessage() for record in caplog.records] == [
        "The plan 'free' has a period of P1D, shorter than FULFILLMENT_GRACE_PERIOD (2 days, 0:00:00): it is capped."
    ]


@pytest.mark.behaviour("CFG-17")
def test_grace_equal_to_the_period_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    Catalogue.of(plans=[FREE], grace=timedelta(days=1))
    assert caplog.records == []

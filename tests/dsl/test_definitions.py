from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from tests import bad_values
from usage_credits import (
    CreditPack,
    InvalidValue,
    Operation,
    SubscriptionPlan,
    WalletOptions,
    credits,
    dollars,
)

DEFINITIONS: list[Any] = [
    Operation(
        "img", costs=credits(10) + credits(1).per("mb", every=2), validates=bool, metadata={"team": "media"}
    ),
    CreditPack("starter", gives=1_000, bonus=100, costs=dollars(49)),
    SubscriptionPlan(
        "pro", gives=credits(500).every("month"), stripe_price={"month": "price_m"}, expire_after=0
    ),
    WalletOptions(initial_balance=5, free_plan="free"),
    credits(5),
    credits(5).per("mb") + credits(1),
    credits(5).every("2 weeks"),
    dollars(49),
]


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: type(definition).__name__)
def test_definition_survives_pickling_and_replacing(definition: Any) -> None:
    assert pickle.loads(pickle.dumps(definition)) == definition
    assert replace(definition) == definition


@pytest.mark.parametrize(
    ("definition", "field"),
    [
        (DEFINITIONS[0], "costs"),
        (DEFINITIONS[1], "gives"),
        (DEFINITIONS[2], "gives"),
        (DEFINITIONS[3], "free_plan"),
    ],
)
def test_definition_is_frozen(definition: Any, field: str) -> None:
    with pytest.raises(FrozenInstanceError):
        setattr(definition, field, 1)


def test_definitions_with_different_values_differ() -> None:
    assert Operation("mail", costs=1) == Operation("mail", costs=credits(1))
    assert replace(Operation("mail", costs=1), costs=credits(2)) == Operation("mail", costs=2)
    assert Operation("mail", costs=1) != Operation("mail", costs=2)


def test_repr_shows_the_values() -> None:
    assert repr(DEFINITIONS[1]) == (
        "CreditPack(name='starter', gives=1000, costs=Money(amount=4900, currency='usd'), bonus=100, priority=0, "
        "scope=None, metadata={})"
    )


def test_definitions_are_importable_without_django() -> None:
    program = """
import sys
sys.modules["django"] = None
from usage_credits import CreditPack, Operation, SubscriptionPlan, WalletOptions, credits, dollars
import usage_credits.dsl.catalogue, usage_credits.dsl.setting_values, usage_credits.dsl.conversion
assert Operation("img", costs=credits(10) + credits(1).per("mb")).quote({"mb": 5}).price == 15
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True)


@pytest.mark.parametrize("definition", [DEFINITIONS[1], DEFINITIONS[2]], ids=lambda sold: type(sold).__name__)
def test_what_is_sold_says_when_and_on_what_it_is_spent(definition: Any) -> None:
    assert (definition.priority, definition.scope) == (0, None)
    scoped = replace(definition, priority=-1, scope=["report", "mail", "mail"])
    assert (scoped.priority, scoped.scope) == (-1, ("mail", "report"))
    for field, values in (("priority", bad_values.PRIORITIES), ("scope", bad_values.SCOPES)):
        for value in values:
            with pytest.raises(InvalidValue) as caught:
                replace(definition, **{field: value})
            assert caught.value.field == field

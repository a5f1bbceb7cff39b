from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from usage_credits import CreditPack, InvalidValue, Money, cents, dollars, euros


def pack(**changes: Any) -> CreditPack:
    return CreditPack(**{"name": "starter_pack", "gives": 1_000, "costs": dollars(49), **changes})


@pytest.mark.behaviour("PAC-01")
def test_pack_has_no_bonus_and_no_metadata_unless_given() -> None:
    assert (pack().bonus, pack().metadata) == (0, {})


@pytest.mark.behaviour("PAC-02")
def test_total_is_what_the_pack_gives_with_its_bonus() -> None:
    assert pack(gives=1_000, bonus=250).total == 1_250


@pytest.mark.behaviour("PAC-02", "PAC-03", "DEC-22", "CFG-13")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", " "),
        ("name", None),
        ("gives", 0),
        ("gives", 10.7),
        ("gives", "1000"),
        ("gives", True),
        ("bonus", -1),
        ("bonus", 0.5),
        ("bonus", "5"),
        ("bonus", 2**63 - 1),
        ("costs", 0),
        ("costs", cents(0)),
        ("costs", 49.0),
        ("costs", "49"),
        ("costs", None),
        ("costs", True),
        ("metadata", "text"),
    ],
)
def test_pack_refuses_values_and_names_their_field(field: str, value: Any) -> None:
    with pytest.raises(InvalidValue) as caught:
        pack(**{field: value})
    assert caught.value.field == field


@pytest.mark.behaviour("PAC-03", "PAC-04")
def test_pack_refuses_a_price_without_a_currency() -> None:
    with pytest.raises(InvalidValue, match=r"^currency: got"):
        pack(costs=Money(4_900, " "))


@pytest.mark.behaviour("PAC-05")
def test_price_reads_in_the_main_unit_with_its_currency() -> None:
    assert pack(costs=cents(4_999)).price.decimal == Decimal("49.99")
    assert pack(costs=dollars(49)).price_text == "49.00 USD"
    assert pack(costs=cents(99)).price.decimal == Decimal("0.99")


@pytest.mark.behaviour("PAC-06")
def test_credits_per_unit_counts_the_bonus() -> None:
    assert pack(gives=1_000, costs=dollars(50)).credits_per_unit == 20
    assert pack(gives=1_000, bonus=200, costs=dollars(60)).credits_per_unit == 20


@pytest.mark.behaviour("PAC-07")
def test_texts_say_what_the_pack_gives_and_costs() -> None:
    assert pack().credits_text == "1000 credits"
    assert pack(bonus=200).credits_text == "1000 + 200 bonus credits"
    assert pack().display_name == "Starter Pack pack"
    assert pack().button_text == "Get 1000 credits for 49.00 USD"


@pytest.mark.behaviour("PAC-09")
def test_base_metadata_describes_the_purchase_in_text() -> None:
    assert pack(bonus=200, metadata={"campaign": "spring"}).base_metadata() == {
        "purchase_type": "credit_pack",
        "pack_name": "starter_pack",
        "credits": "1000",
        "bonus_credits": "200",
        "price_cents": "4900",
        "price_currency": "USD",
    }


@pytest.mark.behaviour("PAC-01", "DEC-24")
def test_price_without_currency_is_read_in_the_default_one() -> None:
    assert pack(costs=4_900).in_currency("eur") == pack(costs=euros(49))
    assert pack(costs=4_900).in_currency("eur").base_metadata()["price_currency"] == "EUR"
    assert pack(costs=dollars(49)).in_currency("eur") == pack(costs=dollars(49))


def test_price_without_currency_cannot_be_read_before_the_settings() -> None:
    with pytest.raises(InvalidValue, match=r"^costs: .*find_credit_pack"):
        _ = pack(costs=4_900).price

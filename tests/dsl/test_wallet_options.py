from __future__ import annotations

from enum import StrEnum
from typing import Any

import pytest

from usage_credits import InvalidValue, WalletOptions
from usage_credits.dsl.wallet_options import clean_asset


class Asset(StrEnum):
    GEMS = "Gems"


@pytest.mark.behaviour("WAL-13")
def test_options_read_no_initial_balance_as_zero() -> None:
    assert WalletOptions(initial_balance=None) == WalletOptions()
    assert WalletOptions().initial_balance == 0


@pytest.mark.behaviour("WAL-13", "DEC-22")
@pytest.mark.parametrize("balance", [-5, 2.5, True, "5", 2**63])
def test_options_refuse_an_initial_balance_that_is_no_amount(balance: Any) -> None:
    with pytest.raises(ValueError, match=r"^initial_balance: got"):
        WalletOptions(initial_balance=balance)


@pytest.mark.parametrize(
    ("field", "value"),
    [("auto_create", 1), ("auto_create", None), ("free_plan", ""), ("free_plan", 5), ("default_asset", " ")],
)
def test_options_refuse_values_and_name_their_field(field: str, value: Any) -> None:
    with pytest.raises(InvalidValue) as caught:
        WalletOptions(**{field: value})
    assert caught.value.field == field


def test_options_keep_what_they_are_given() -> None:
    options = WalletOptions(initial_balance=100, auto_create=False, free_plan="free", default_asset=" Gems ")
    assert (options.initial_balance, options.auto_create) == (100, False)
    assert (options.free_plan, options.default_asset) == ("free", "gems")


@pytest.mark.behaviour("WAL-19")
@pytest.mark.parametrize("value", [" Gems ", "GEMS", Asset.GEMS])
def test_asset_is_stripped_and_in_lower_case(value: Any) -> None:
    assert clean_asset(value) == "gems"


@pytest.mark.behaviour("WAL-19")
@pytest.mark.parametrize("value", ["", "  ", None, 5, "x" * 51])
def test_asset_that_is_blank_or_long_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^asset: got"):
        clean_asset(value)

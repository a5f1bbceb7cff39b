"""What an owner's model says about the wallets of its rows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from usage_credits.exceptions import InvalidValue
from usage_credits.values import check_amount, check_text

MAX_ASSET: Final = 50
"""The longest name of an asset, in characters."""


def clean_asset(value: object, field: str = "asset") -> str:
    """Return an asset's name stripped and in lower case.

    Raises InvalidValue for what is no text, blank or longer than 50 characters.
    """
    name = check_text(value, field).strip().lower()
    if len(name) > MAX_ASSET:
        raise InvalidValue.of(field, value, f"a name of 1 to {MAX_ASSET} characters")
    return name


@dataclass(frozen=True, init=False)
class WalletOptions:
    """Set as `wallet_options` on the owner's model.

    `initial_balance` is credited to the default wallet when it is created (int from 0 up; None means 0).
    `auto_create` makes that wallet with the owner. `free_plan` names a plan started with it. `default_asset`
    replaces the setting DEFAULT_ASSET for this model. Raises InvalidValue that names the refused option.
    """

    initial_balance: int
    auto_create: bool
    free_plan: str | None
    default_asset: str | None

    def __init__(
        self,
        *,
        initial_balance: int | None = 0,
        auto_create: bool = True,
        free_plan: str | Enum | None = None,
        default_asset: str | Enum | None = None,
    ) -> None:
        if not isinstance(auto_create, bool):
            raise InvalidValue.of("auto_create", auto_create, "True or False")
        balance = 0 if initial_balance is None else initial_balance
        vars(self).update(
            initial_balance=check_amount(balance, "initial_balance", minimum=0),
            auto_create=auto_create,
            free_plan=None if free_plan is None else check_text(free_plan, "free_plan"),
            default_asset=None if default_asset is None else clean_asset(default_asset, "default_asset"),
        )

"""What an owner's model says about the wallets of its rows."""

from __future__ import annotations

from dataclasses import dataclass
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


@dataclass(frozen=True, kw_only=True)
class WalletOptions:
    """Set as `wallet_options` on the owner's model.

    `initial_balance` is credited to the default wallet when it is created (int from 0 up; None means 0).
    `auto_create` makes that wallet with the owner. `free_plan` names a plan started with it. `default_asset`
    replaces the setting DEFAULT_ASSET for this model. Raises InvalidValue that names the refused option.
    """

    initial_balance: int | None = 0
    auto_create: bool = True
    free_plan: str | None = None
    default_asset: str | None = None

    def __post_init__(self) -> None:
        balance = 0 if self.initial_balance is None else self.initial_balance
        object.__setattr__(self, "initial_balance", check_amount(balance, "initial_balance", minimum=0))
        if not isinstance(self.auto_create, bool):
            raise InvalidValue.of("auto_create", self.auto_create, "True or False")
        if self.free_plan is not None:
            object.__setattr__(self, "free_plan", check_text(self.free_plan, "free_plan"))
        if self.default_asset is not None:
            object.__setattr__(self, "default_asset", clean_asset(self.default_asset, "default_asset"))

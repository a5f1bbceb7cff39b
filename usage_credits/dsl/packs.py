"""Bundles of credits, bought once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from typing import Any

from usage_credits.dsl.conversion import credits_per_unit
from usage_credits.dsl.money import Money
from usage_credits.dsl.selling import Sellable
from usage_credits.exceptions import InvalidAmount, InvalidValue, describe
from usage_credits.values import (
    MAX_AMOUNT,
    check_amount,
    check_metadata,
    check_priority,
    check_scope,
    check_text,
)

PURCHASE_TYPE = "credit_pack"


@dataclass(frozen=True, init=False)
class CreditPack(Sellable):
    """A bundle of credits at a price.

    `gives` and `bonus` are whole credits (int), `costs` is money such as `dollars(49)`, or a whole number of
    minor units of DEFAULT_CURRENCY. `priority` (int; lower is spent first) and `scope` (names of the operations that
    they may pay for, None: any) are those of the credits. Raises InvalidValue that names the refused argument.
    """

    name: str
    gives: int
    costs: Money | int
    bonus: int
    priority: int
    scope: tuple[str, ...] | None
    metadata: dict[str, Any]

    def __init__(
        self,
        name: str | Enum,
        *,
        gives: int,
        costs: Money | int,
        bonus: int = 0,
        priority: int = 0,
        scope: Iterable[str | Enum] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        vars(self).update(
            name=check_text(name, "name"),
            gives=check_amount(gives, "gives"),
            costs=_check_price(costs),
            bonus=check_amount(bonus, "bonus", minimum=0),
            priority=check_priority(priority),
            scope=check_scope(scope),
            metadata=check_metadata(metadata),
        )
        if self.total > MAX_AMOUNT:
            raise InvalidAmount.of("bonus", bonus, "an amount that keeps gives + bonus at most 2**63 - 1")

    def in_currency(self, default: str) -> CreditPack:
        """Return the pack with its price as money; a price without a currency is read in `default`."""
        return self if isinstance(self.costs, Money) else replace(self, costs=Money(self.costs, default))

    @property
    def total(self) -> int:
        """Return the credits a purchase awards, the bonus included."""
        return self.gives + self.bonus

    @property
    def price(self) -> Money:
        """Return the price; raise InvalidValue if its currency is still to come from the settings."""
        if isinstance(self.costs, Money):
            return self.costs
        raise InvalidValue(
            "costs",
            f"{describe(self.costs)} has no currency: read it with find_credit_pack(…) or give dollars(…).",
        )

    @property
    def credits_per_unit(self) -> Decimal:
        """Return how many credits one main unit of the currency (a dollar) buys."""
        return credits_per_unit(self.total, self.price)

    @property
    def credits_text(self) -> str:
        """Return e.g. "1000 credits" or "1000 + 200 bonus credits"."""
        return f"{self.gives} + {self.bonus} bonus credits" if self.bonus else f"{self.gives} credits"

    @property
    def price_text(self) -> str:
        """Return e.g. "49.00 USD"."""
        return str(self.price)

    @property
    def display_name(self) -> str:
        """Return e.g. "Starter Pack pack" for "starter_pack"."""
        return f"{self.name.replace('_', ' ').replace('-', ' ').title()} pack"

    @property
    def button_text(self) -> str:
        """Return e.g. "Get 1000 credits for 49.00 USD"."""
        return f"Get {self.credits_text} for {self.price_text}"

    def base_metadata(self) -> dict[str, str]:
        """Return what every purchase of this pack tells Stripe; Stripe's metadata holds text only."""
        return {
            "purchase_type": PURCHASE_TYPE,
            "pack_name": self.name,
            "credits": str(self.gives),
            "bonus_credits": str(self.bonus),
            "price_cents": str(self.price.amount),
            "price_currency": self.price.code,
        }


def _check_price(costs: object) -> Money | int:
    if isinstance(costs, Money):
        check_amount(costs.amount, "costs")
        return costs
    if type(costs) is int:
        return check_amount(costs, "costs")
    raise InvalidAmount.of(
        "costs", costs, "money above 0 such as dollars(49), or a whole number (int) of minor units"
    )

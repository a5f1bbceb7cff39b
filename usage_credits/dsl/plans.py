"""Plans: credits that are awarded again in every period."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any, Literal, cast, get_args

from usage_credits.dsl.allowances import Allowance
from usage_credits.dsl.periods import Period
from usage_credits.dsl.selling import Sellable
from usage_credits.exceptions import InvalidValue
from usage_credits.values import check_amount, check_metadata, check_priority, check_scope, check_text

UnusedCredits = Literal["expire", "rollover"]
"""What becomes of what is left of one period's credits when the next ones come."""

PURCHASE_TYPE = "credit_plan"

SINGLE_PRICE = "default"
"""Under which key `prices` lists the one price id of a plan that has no others."""


@dataclass(frozen=True, init=False)
class SubscriptionPlan(Sellable):
    """Credits in every period, for as long as the subscription lasts.

    `gives` is what each period awards, `credits(500).every("month")`. `stripe_price` is one price id, or a
    mapping of billing period to price id; None for plans that no payment stands behind. `signup_bonus` and
    `trial_includes` are whole credits (int) given once. `unused_credits` is "expire" or "rollover" (keep);
    `rollover_cap` keeps at most so many of them when the next cycle comes (int from 0 up; None: all).
    `expire_after` says how long after the end of the subscription its credits last: None keeps them, 0 ends
    them at once. `per_seat` awards `gives` for each seat of the subscription; otherwise its quantity does not
    matter. `bonus_once` gives an owner the signup bonus of this plan once, however often it subscribes anew; without
    it each subscription brings one. `archived` plans are not sold any more and go on for those who have them.
    `priority` (int; lower is spent first) and `scope` (names of the operations that they may pay for, None: any) are
    those of all its credits. Raises InvalidValue that names the refused argument.
    """

    name: str
    gives: Allowance
    stripe_price: str | dict[str, str] | None
    signup_bonus: int
    trial_includes: int
    unused_credits: UnusedCredits
    rollover_cap: int | None
    expire_after: timedelta | None
    per_seat: bool
    bonus_once: bool
    archived: bool
    priority: int
    scope: tuple[str, ...] | None
    metadata: dict[str, Any]

    def __init__(
        self,
        name: str | Enum,
        *,
        gives: Allowance,
        stripe_price: str | Mapping[Any, str] | None = None,
        signup_bonus: int = 0,
        trial_includes: int = 0,
        unused_credits: UnusedCredits = "expire",
        rollover_cap: int | None = None,
        expire_after: timedelta | Literal[0] | None = None,
        per_seat: bool = False,
        bonus_once: bool = False,
        archived: bool = False,
        priority: int = 0,
        scope: Iterable[str | Enum] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        vars(self).update(
            name=check_text(name, "name"),
            gives=_check_allowance(gives),
            stripe_price=_read_prices(stripe_price),
            signup_bonus=check_amount(signup_bonus, "signup_bonus", minimum=0),
            trial_includes=check_amount(trial_includes, "trial_includes", minimum=0),
            unused_credits=_check_unused_credits(unused_credits),
            rollover_cap=_check_cap(rollover_cap, unused_credits),
            expire_after=_read_delay(expire_after),
            per_seat=_check_flag(per_seat, "per_seat"),
            bonus_once=_check_flag(bonus_once, "bonus_once"),
            archived=_check_flag(archived, "archived"),
            priority=check_priority(priority),
            scope=check_scope(scope),
            metadata=check_metadata(metadata),
        )

    @property
    def amount(self) -> int:
        """Return the credits awarded in each period."""
        return self.gives.amount

    @property
    def period(self) -> Period:
        """Return how often the credits are awarded."""
        return self.gives.period

    @property
    def rolls_over(self) -> bool:
        """Tell whether unused credits are kept; otherwise they expire with the next award."""
        return self.unused_credits == "rollover"

    @property
    def prices(self) -> dict[str, str]:
        """Return the price ids by billing period; a single one stands under "default", none gives {}."""
        if isinstance(self.stripe_price, str):
            return {SINGLE_PRICE: self.stripe_price}
        return dict(self.stripe_price or {})

    @property
    def price_ids(self) -> tuple[str, ...]:
        """Return every price id of the plan."""
        return tuple(self.prices.values())

    def price_id(self, period: object = None) -> str | None:
        """Return the price id of a billing period, for None the single one; None for no such price."""
        if isinstance(self.stripe_price, Mapping):
            return None if period is None else self.stripe_price.get(_key(period))
        return self.stripe_price if period is None else None

    def matches(self, price_id: str | None) -> bool:
        """Tell whether a price id is one of this plan's."""
        return price_id in self.price_ids

    def base_metadata(self) -> dict[str, str]:
        """Return what every subscription to this plan tells Stripe; Stripe's metadata holds text only."""
        return {"purchase_type": PURCHASE_TYPE, "plan_name": self.name}


def _check_allowance(gives: object) -> Allowance:
    if not isinstance(gives, Allowance):
        raise InvalidValue.of("gives", gives, 'an amount with a period, as credits(500).every("month")')
    return gives


def _check_unused_credits(value: object) -> UnusedCredits:
    if not isinstance(value, str) or value not in get_args(UnusedCredits):
        raise InvalidValue.of("unused_credits", value, '"expire" or "rollover"')
    return cast(UnusedCredits, value)


def _check_cap(cap: object, unused_credits: object) -> int | None:
    if cap is None:
        return None
    if unused_credits != "rollover":
        raise InvalidValue.of("rollover_cap", cap, 'None, except with unused_credits="rollover"')
    return check_amount(cap, "rollover_cap", minimum=0)


def _check_flag(value: object, field: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidValue.of(field, value, "True or False")
    return value


def _read_delay(value: object) -> timedelta | None:
    if value is None or (isinstance(value, timedelta) and value >= timedelta(0)):
        return value
    if type(value) is int and value == 0:
        return timedelta(0)
    raise InvalidValue.of("expire_after", value, "a timedelta from 0 up, 0 (at once) or None (keep)")


def _read_prices(value: object) -> str | dict[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        return check_text(value, "stripe_price")
    if not value:
        raise InvalidValue.of("stripe_price", value, "a price id, or a mapping with at least one")
    return {
        check_text(_key(key), "stripe_price"): check_text(price, "stripe_price")
        for key, price in value.items()
    }


def _key(period: object) -> str:
    return str(period.value if isinstance(period, Enum) else period)

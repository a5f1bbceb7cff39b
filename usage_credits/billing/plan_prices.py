"""Tell what plans cost, as far as it is known here: their prices are kept at Stripe."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from usage_credits.billing.providers import can_sell
from usage_credits.dsl.money import Money
from usage_credits.dsl.periods import Period
from usage_credits.dsl.plans import SubscriptionPlan
from usage_credits.exceptions import InvalidValue


@dataclass(frozen=True)
class Cost:
    """What Stripe takes for one seat, and how often."""

    money: Money
    every: Period


@dataclass(frozen=True)
class PlanPrice:
    """One of a plan's prices. `period` is what checkout wants to know it by, None for a single price.

    `cost` is None where dj-stripe does not have the price, and for one that is no plain amount. `every` is how often
    it is paid, also by what `period` says; None where nothing tells.
    """

    price_id: str
    period: str | None
    cost: Cost | None

    @property
    def every(self) -> Period | None:
        if self.cost:
            return self.cost.every
        try:
            return None if self.period is None else Period.parse(self.period)
        except InvalidValue:
            return None


def plan_prices(plans: Collection[SubscriptionPlan]) -> dict[str, list[PlanPrice]]:
    """Return the prices of plans by the plan's name, in settings' order. One statement, none without dj-stripe."""
    costs = _costs([price_id for plan in plans for price_id in plan.price_ids])
    return {
        plan.name: [
            PlanPrice(price_id, None if isinstance(plan.stripe_price, str) else key, costs.get(price_id))
            for key, price_id in plan.prices.items()
        ]
        for plan in plans
    }


def _costs(price_ids: list[str]) -> Mapping[str, Cost]:
    if not price_ids or not can_sell():
        return {}
    # dj-stripe's models can be imported only where it is installed.
    from usage_credits.billing.stripe_prices import find_costs

    return find_costs(price_ids)

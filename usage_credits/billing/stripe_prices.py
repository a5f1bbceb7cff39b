"""Read prices that dj-stripe has of Stripe."""

from __future__ import annotations

from collections.abc import Sequence

from djstripe.models import Price

from usage_credits.billing.plan_prices import Cost
from usage_credits.billing.stripe_objects import Payload
from usage_credits.dsl.money import Money
from usage_credits.dsl.periods import Period


def find_costs(price_ids: Sequence[str]) -> dict[str, Cost]:
    """Return what the prices cost that dj-stripe has and that are a plain recurring amount, by id. One statement."""
    found = Price.objects.filter(id__in=price_ids).values_list("id", "stripe_data")
    costs = {price_id: _cost(price) for price_id, price in found}
    return {price_id: cost for price_id, cost in costs.items() if cost}


def _cost(price: Payload) -> Cost | None:
    """Return what it costs; None for tiers, packages, metered use, parts of a minor unit, and what is paid once."""
    amount, recurring = price.get("unit_amount"), price.get("recurring") or {}
    is_plain = recurring.get("usage_type") == "licensed" and not price.get("transform_quantity")
    if type(amount) is not int or not is_plain:
        return None
    every = Period.parse(f"{recurring.get('interval_count') or 1} {recurring['interval']}")
    return Cost(Money(amount, price["currency"]), every)

"""The checkout of a plan: a subscription to one of its prices, for one or more seats."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models

from usage_credits import conf
from usage_credits.billing.owner_references import OWNER_KEY, reference_to
from usage_credits.dsl.plans import SubscriptionPlan
from usage_credits.exceptions import InvalidValue
from usage_credits.values import check_amount


def plan_parameters(
    plan: SubscriptionPlan,
    owner: models.Model,
    options: Mapping[str, Any],
    *,
    period: object,
    quantity: object,
) -> dict[str, Any]:
    """Return the parameters of the checkout session; `options` and what they hold are left as they are.

    Raises InvalidValue for a plan that is not sold: not in SUBSCRIPTION_PLANS as it is, archived, without a price; for
    a billing period that it has no price for; for a quantity that is no whole number from 1 up.
    """
    _check_sold(plan)
    if options.get("payment_intent_data"):
        raise InvalidValue(
            "payment_intent_data", "Stripe takes none for a subscription; give subscription_data instead."
        )
    price_id = _price_for(plan, period)
    seats = check_amount(quantity, "quantity")
    ours = {**plan.base_metadata(), OWNER_KEY: reference_to(owner)}
    subscription_options = options.get("subscription_data") or {}
    return {
        **{name: value for name, value in options.items() if name != "payment_intent_data"},
        "mode": "subscription",
        "line_items": [{"price": price_id, "quantity": seats}],
        "metadata": _merged(options, ours),
        "subscription_data": {**subscription_options, "metadata": _merged(subscription_options, ours)},
    }


def _check_sold(plan: SubscriptionPlan) -> None:
    if conf.find_subscription_plan(plan.name) != plan:
        raise InvalidValue("plan", f"{plan.name!r} is not in SUBSCRIPTION_PLANS as it is offered here.")
    if plan.archived:
        raise InvalidValue("plan", f"{plan.name!r} is archived: it is not sold any more.")
    if not plan.prices:
        raise InvalidValue(
            "plan", f"{plan.name!r} has no stripe_price: start_plan starts it without payment."
        )


def _price_for(plan: SubscriptionPlan, period: object) -> str:
    price_id = plan.price_id(period)
    if price_id is not None:
        return price_id
    if isinstance(plan.stripe_price, Mapping):
        allowed = " or ".join(f'"{name}"' for name in plan.prices)
    else:
        allowed = "None, as this plan has a single price"
    raise InvalidValue.of("period", period, allowed)


def _merged(options: Mapping[str, Any], ours: Mapping[str, str]) -> dict[str, Any]:
    return {**(options.get("metadata") or {}), **ours}

"""The cycle: what a fulfillment awards at each of its grid dates."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from usage_credits import conf
from usage_credits.dsl.categories import CREDIT_ADDED, CREDIT_PACK_PURCHASE, SUBSCRIPTION_CREDITS
from usage_credits.dsl.periods import Period
from usage_credits.dsl.plans import SubscriptionPlan
from usage_credits.exceptions import InvalidOperation, InvalidValue
from usage_credits.models import Fulfillment, FulfillmentKind
from usage_credits.values import check_amount


@dataclass(frozen=True)
class Cycle:
    """An amount of credits with its category, and whether what is left of it is kept when the next one comes."""

    amount: int
    category: str
    rolls_over: bool
    priority: int = 0
    scope: tuple[str, ...] | None = None


def cycle_of(fulfillment: Fulfillment) -> Cycle:
    """Return what the fulfillment awards at its next grid date, as settings define it today.

    Raises InvalidOperation where that cannot be told: the plan or pack has gone from settings, or a manual
    fulfillment names no amount.
    """
    reader = _READERS.get(fulfillment.kind)
    if reader is None:
        raise InvalidOperation(
            f"The fulfillment {fulfillment.pk} is of the unknown kind {fulfillment.kind!r}."
        )
    return reader(fulfillment)


def plan_of(fulfillment: Fulfillment) -> SubscriptionPlan:
    """Return the fulfillment's plan as settings define it; raise InvalidOperation where they have none."""
    plan = conf.find_subscription_plan(fulfillment.plan_name)
    if plan is None:
        raise InvalidOperation(
            f"The fulfillment {fulfillment.pk} is for the plan {fulfillment.plan_name!r}, "
            "which SUBSCRIPTION_PLANS does not hold."
        )
    return plan


def amount_of(plan: SubscriptionPlan, seats: int) -> int:
    """Return the credits of one cycle: the plan's, for every seat where the plan says so."""
    return plan.amount * seats if plan.per_seat else plan.amount


def expiry_of(rolls_over: bool, next_date: datetime.datetime | None, period: str) -> datetime.datetime | None:
    """Return when credits awarded until `next_date` expire: a grace after it, None for never.

    The grace of settings is capped to the length of the period, so that two cycles overlap at most once.
    """
    if rolls_over or next_date is None:
        return None
    grace = conf.current().fulfillment_grace_period
    return next_date + min(grace, Period.parse(period).approximate_length)


def as_sold(plan: SubscriptionPlan) -> dict[str, Any]:
    """Return the plan's definition as it is kept with what was sold."""
    return {
        "plan_name": plan.name,
        "credits": plan.amount,
        "period": plan.period.iso,
        "unused_credits": plan.unused_credits,
        "signup_bonus": plan.signup_bonus,
        "per_seat": plan.per_seat,
        "priority": plan.priority,
        "scope": list(plan.scope) if plan.scope else None,
    }


def _of_plan(fulfillment: Fulfillment) -> Cycle:
    plan = plan_of(fulfillment)
    amount = amount_of(plan, fulfillment.seats)
    return Cycle(amount, SUBSCRIPTION_CREDITS, plan.rolls_over, priority=plan.priority, scope=plan.scope)


def _of_pack(fulfillment: Fulfillment) -> Cycle:
    pack = conf.find_credit_pack(fulfillment.pack_name)
    if pack is None:
        raise InvalidOperation(
            f"The fulfillment {fulfillment.pk} is for the pack {fulfillment.pack_name!r}, "
            "which CREDIT_PACKS does not hold."
        )
    return Cycle(pack.total, CREDIT_PACK_PURCHASE, rolls_over=True, priority=pack.priority, scope=pack.scope)


def _of_grant(fulfillment: Fulfillment) -> Cycle:
    try:
        amount = check_amount(fulfillment.metadata.get("credits"), "credits")
    except InvalidValue as refusal:
        raise InvalidOperation(
            f"The manual fulfillment {fulfillment.pk} names no amount: {refusal}"
        ) from refusal
    return Cycle(amount, CREDIT_ADDED, fulfillment.metadata.get("unused_credits") != "expire")


_READERS: dict[str, Callable[[Fulfillment], Cycle]] = {
    FulfillmentKind.SUBSCRIPTION: _of_plan,
    FulfillmentKind.PACK: _of_pack,
    FulfillmentKind.MANUAL: _of_grant,
}

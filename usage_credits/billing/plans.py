"""Plans that no payment stands behind: started, changed and stopped by the project itself."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from django.db import models, router, transaction

from usage_credits import conf
from usage_credits.billing import plan_changes
from usage_credits.billing.cycles import amount_of, as_sold
from usage_credits.billing.manual_fulfillments import ManualFulfillments, manual_fulfillments, wallet_of
from usage_credits.dsl.plans import SubscriptionPlan
from usage_credits.exceptions import InvalidValue
from usage_credits.ledger.wallets import open_wallet
from usage_credits.models import Fulfillment, FulfillmentKind, Wallet
from usage_credits.twins import twin
from usage_credits.values import check_amount, check_metadata, check_moment, check_text

MAX_SEATS: Final = 2**31 - 1
"""The most seats that the column holds."""

PlanRef = SubscriptionPlan | str | Enum
"""A plan as SUBSCRIPTION_PLANS defines it, or its name."""

Moment = datetime.datetime | datetime.date


def start_plan(
    owner: models.Model,
    plan: PlanRef,
    *,
    starts_at: Moment | None = None,
    ends_at: Moment | None = None,
    seats: int = 1,
    metadata: Mapping[str, Any] | None = None,
) -> Fulfillment:
    """Give `owner` (any saved model) a plan of SUBSCRIPTION_PLANS without payment and return its fulfillment.

    The signup bonus and the first cycle are posted at once, the cycles after it by `fulfill_credits`, on the dates
    counted from `starts_at` (default: now). A start to come waits for `fulfill_credits`; from one in the past, all
    cycles since are awarded where credits are kept, else the running one. No date from `ends_at` on is awarded.
    `metadata` is kept with the fulfillment and in each row it posts.

    A plan that was started this way and has not stopped, that waits for its start, or to which another one is about
    to change, is not started again: its fulfillment is returned as it is. A subscription at Stripe does not count.

    Locks the wallet's row; commits with the caller's transaction, or by itself. Announced as
    `subscription_credits_awarded`. Raises InvalidValue for an unknown or archived plan, an owner that is not saved,
    an end that is not to come after the start; UsageCreditsError for what the ledger refuses.
    """
    sold = check_startable(plan)
    columns = {
        "kind": FulfillmentKind.SUBSCRIPTION,
        "plan_name": sold.name,
        "as_sold": as_sold(sold),
        "seats": _check_seats(seats, sold),
        "period": sold.period.iso,
        "metadata": check_metadata(metadata),
    }
    start, end = check_moment(starts_at, "starts_at"), check_moment(ends_at, "ends_at")
    with (
        transaction.atomic(using=router.db_for_write(Wallet, instance=owner)),
        manual_fulfillments(open_wallet(owner)) as manual,
    ):
        for known in _with_plan(manual, sold.name):
            if manual.is_running(known):
                return known
            manual.bring_up(known)
        return manual.start(starts_at=start, ends_at=end, **columns)


astart_plan = twin(start_plan)


def stop_plan(owner: models.Model, plan: PlanRef, *, at: Moment | None = None) -> Fulfillment | None:
    """Stop a plan that `start_plan` started, now or at `at`, and return its fulfillment; None where it does not run.

    What is due by then is awarded first. Credits stay until their own expiry, or until the plan's `expire_after` has
    passed since the stop. Called again with another moment, it moves a stop that has not come; `keep_plan` takes it
    back. A moment in the past means now.

    Locks the wallet's row; commits with the caller's transaction, or by itself. Raises InvalidValue for a plan that
    is neither running nor in SUBSCRIPTION_PLANS, an owner that is not saved, a moment without a timezone.
    """
    name, moment = _check_name(plan), check_moment(at, "at")
    wallet = wallet_of(owner)
    if wallet is not None:
        with manual_fulfillments(wallet) as manual:
            running = _find_running(manual, name)
            if running is not None:
                manual.stop(running, moment)
                return running
    _check_known(plan, name)
    return None


astop_plan = twin(stop_plan)


def keep_plan(owner: models.Model, plan: PlanRef) -> Fulfillment | None:
    """Take back a stop, or an `ends_at`, that has not come, and return the fulfillment; None where it does not run.

    Locks, commits and raises as `stop_plan` does.
    """
    name = _check_name(plan)
    wallet = wallet_of(owner)
    if wallet is not None:
        with manual_fulfillments(wallet) as manual:
            running = _find_running(manual, name)
            if running is not None:
                running.stops_at, running.stop_reason = None, ""
                return running
    _check_known(plan, name)
    return None


akeep_plan = twin(keep_plan)


def change_plan(owner: models.Model, plan: PlanRef, to: PlanRef, *, seats: int | None = None) -> Fulfillment:
    """Change a running plan that `start_plan` started to another one, and return its fulfillment.

    A larger plan, by credits per time, takes over at once and awards a whole cycle, without a signup bonus; its dates
    count from now. A smaller one waits for the next date, as `pending_plan`. One of the same size takes over at once
    and awards nothing. The same plan again clears what is pending and sets `seats`; more of them award their share.
    `seats` stay as they are by default. Called again after a change, it changes nothing.

    Locks the wallet's row; commits with the caller's transaction, or by itself. Raises InvalidValue for a `plan` that
    does not run, a `to` that is unknown, archived or runs beside it, an owner that is not saved.
    """
    name, target = _check_name(plan), check_startable(to, "to")
    if seats is not None:
        _check_seats(seats, target)
    wallet = wallet_of(owner)
    if wallet is None:
        raise _not_running(owner, name)
    with manual_fulfillments(wallet) as manual:
        running = _find_running(manual, name)
        others = [
            known
            for known in _with_plan(manual, target.name)
            if manual.is_running(known) and (running is None or known.pk != running.pk)
        ]
        if running is None:
            for changed in others:
                if changed.plan_name == target.name:
                    return changed
            raise _not_running(owner, name)
        if others:
            raise InvalidValue("to", f"{target.name!r} runs beside {name!r}: stop one of them.")
        _change(manual, running, target, _check_seats(seats or running.seats, target))
        return running


achange_plan = twin(change_plan)


def check_startable(plan: object, field: str = "plan") -> SubscriptionPlan:
    """Return the plan that a name or definition stands for.

    Raises InvalidValue where SUBSCRIPTION_PLANS does not hold it as it is, and where it is archived.
    """
    found = conf.find_subscription_plan(plan.name if isinstance(plan, SubscriptionPlan) else plan)
    if found is None or (isinstance(plan, SubscriptionPlan) and plan != found):
        named = ", ".join(repr(defined.name) for defined in conf.current().catalogue.plans) or "none"
        raise InvalidValue.of(field, plan, f"a plan of SUBSCRIPTION_PLANS or its name ({named})")
    if found.archived:
        raise InvalidValue(field, f"the plan {found.name!r} is archived: it goes on for those who have it.")
    return found


def _change(manual: ManualFulfillments, fulfillment: Fulfillment, plan: SubscriptionPlan, seats: int) -> None:
    has_begun = fulfillment.credits_last_awarded > 0
    if has_begun and conf.find_subscription_plan(fulfillment.plan_name) is not None:
        manual.awards += plan_changes.change_plan(
            manual.post,
            fulfillment,
            plan,
            manual.post.now,
            seats=seats,
            period_ends_at=fulfillment.next_fulfillment_at,
        )
        return
    # Nothing of it was awarded yet, or nothing can be any more: the plan is replaced from its next date on.
    plan_changes.take_over(fulfillment, plan, seats, at=fulfillment.next_fulfillment_at)
    manual.bring_up(fulfillment)


def _find_running(manual: ManualFulfillments, name: str) -> Fulfillment | None:
    """Return the running fulfillment of the plan, brought up to the present."""
    for known in _with_plan(manual, name):
        manual.bring_up(known)
        if known.plan_name == name and manual.is_running(known):
            return known
    return None


def _with_plan(manual: ManualFulfillments, name: str) -> list[Fulfillment]:
    """Return the fulfillments that have the plan or are about to change to it.

    Compared here, as not every database tells names apart by their case.
    """
    waiting = manual.waiting(kind=FulfillmentKind.SUBSCRIPTION)
    return [known for known in waiting if name in (known.plan_name, known.pending_plan)]


def _check_name(plan: object) -> str:
    return plan.name if isinstance(plan, SubscriptionPlan) else check_text(plan, "plan")


def _check_known(plan: object, name: str) -> None:
    """Tell a plan that does not run from one that there is not."""
    if conf.find_subscription_plan(name) is None:
        check_startable(name)


def _check_seats(seats: int, plan: SubscriptionPlan) -> int:
    if type(seats) is not int or not 1 <= seats <= MAX_SEATS:
        raise InvalidValue.of("seats", seats, f"a whole number (int) from 1 to {MAX_SEATS}")
    check_amount(amount_of(plan, seats), "seats")
    return seats


def _not_running(owner: models.Model, name: str) -> InvalidValue:
    return InvalidValue(
        "plan", f"{name!r} does not run for {type(owner).__name__} {owner.pk}: start it first."
    )

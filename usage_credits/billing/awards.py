"""Awards: the rows that a fulfillment's plan or schedule posts, and how they are announced."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from usage_credits import conf
from usage_credits.billing.cycles import Cycle, amount_of, expiry_of
from usage_credits.dsl.categories import (
    SUBSCRIPTION_CREDITS,
    SUBSCRIPTION_SIGNUP_BONUS,
    SUBSCRIPTION_TRIAL,
    SUBSCRIPTION_UPGRADE,
)
from usage_credits.dsl.plans import SubscriptionPlan
from usage_credits.ledger.entries import CreditEntry
from usage_credits.ledger.events import announce
from usage_credits.ledger.posting import Posting
from usage_credits.models import Fulfillment, FulfillmentKind, Transaction, Wallet
from usage_credits.values import MAX_TEXT

CYCLE = "fulfillment_cycle"
UPGRADE = "plan_upgrade"
SEATS = "seats_added"
FIRST_AWARD = "first_award"
TRIAL = "trial"
REACTIVATION = "reactivation"


@dataclass(frozen=True)
class Award:
    """Rows that one occasion gave a fulfillment, told together as one event."""

    fulfillment: Fulfillment
    rows: list[Transaction]
    reason: str | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def amount(self) -> int:
        return sum(row.amount for row in self.rows)


def award_cycle(
    post: Posting,
    fulfillment: Fulfillment,
    cycle: Cycle,
    date: datetime.datetime,
    next_date: datetime.datetime | None,
) -> Transaction:
    """Post the award of the grid date `date` and move the fulfillment on to `next_date` (None: there is no other)."""
    row = _post(
        post,
        fulfillment,
        cycle,
        cycle.amount,
        cycle.category,
        reason=CYCLE,
        expires_at=expiry_of(cycle.rolls_over, next_date, fulfillment.period),
        grid_date=date,
    )
    count_award(post, fulfillment, cycle.amount, date, next_date)
    return row


def award_missed(
    post: Posting, fulfillment: Fulfillment, plan: SubscriptionPlan, seats: int, date: datetime.datetime
) -> Transaction:
    """Post a cycle of the past that was paid late, of a plan whose credits are kept; the schedule does not move."""
    amount = amount_of(plan, seats)
    return _post(post, fulfillment, plan, amount, SUBSCRIPTION_CREDITS, reason=CYCLE, grid_date=date)


def award_upgrade(
    post: Posting,
    fulfillment: Fulfillment,
    cycle: Cycle,
    moment: datetime.datetime,
    next_date: datetime.datetime,
) -> Transaction:
    """Post a whole cycle of the larger plan, awarded from `moment` on until `next_date`."""
    row = _post(
        post,
        fulfillment,
        cycle,
        cycle.amount,
        SUBSCRIPTION_UPGRADE,
        reason=UPGRADE,
        expires_at=expiry_of(cycle.rolls_over, next_date, fulfillment.period),
        key=upgrade_key(fulfillment, fulfillment.plan_name),
    )
    count_award(post, fulfillment, cycle.amount, moment, next_date)
    return row


def award_seats(post: Posting, fulfillment: Fulfillment, plan: SubscriptionPlan, added: int) -> Transaction:
    """Post what `added` seats bring for the rest of the running period."""
    date = fulfillment.next_fulfillment_at
    row = _post(
        post,
        fulfillment,
        plan,
        plan.amount * added,
        SUBSCRIPTION_UPGRADE,
        reason=SEATS,
        expires_at=expiry_of(plan.rolls_over, date, fulfillment.period),
        key=_key(fulfillment, "seats", str(fulfillment.seats), date.isoformat() if date else ""),
    )
    fulfillment.credits_last_awarded = plan.amount * added
    return row


def award_bonus(post: Posting, fulfillment: Fulfillment, plan: SubscriptionPlan) -> list[Transaction]:
    """Post the plan's signup bonus, which never expires, unless this fulfillment or, where the plan says so, this
    owner had it before."""
    key = _short(f"plan:{plan.name}:signup_bonus") if plan.bonus_once else _key(fulfillment, "signup_bonus")
    if not plan.signup_bonus or is_used(post, key):
        return []
    return [
        _post(
            post,
            fulfillment,
            plan,
            plan.signup_bonus,
            SUBSCRIPTION_SIGNUP_BONUS,
            reason="signup_bonus",
            key=key,
        )
    ]


def award_trial(
    post: Posting, fulfillment: Fulfillment, plan: SubscriptionPlan, ends_at: datetime.datetime
) -> list[Transaction]:
    """Post the plan's trial credits, which last as long as the trial; nothing once it is over."""
    key = _key(fulfillment, TRIAL)
    if not plan.trial_includes or ends_at <= post.now or is_used(post, key):
        return []
    fulfillment.credits_last_awarded = plan.trial_includes
    fulfillment.last_fulfilled_at = post.now
    return [
        _post(
            post,
            fulfillment,
            plan,
            plan.trial_includes,
            SUBSCRIPTION_TRIAL,
            reason=TRIAL,
            expires_at=ends_at,
            key=key,
        )
    ]


def count_award(
    post: Posting,
    fulfillment: Fulfillment,
    amount: int,
    date: datetime.datetime,
    next_date: datetime.datetime | None,
) -> None:
    """Take note of the award of the grid date `date` and move the fulfillment on to `next_date`."""
    fulfillment.credits_last_awarded = amount
    # An award made up for late keeps its own date: the dates after it are still to come.
    fulfillment.last_fulfilled_at = post.now if next_date is None or next_date > post.now else date
    fulfillment.next_fulfillment_at = next_date
    fulfillment.seats_awarded = fulfillment.seats
    fulfillment.last_error = ""


def upgrade_key(fulfillment: Fulfillment, plan_name: str) -> str:
    """Return the idempotency key of an upgrade: one for each plan and paid period, however often it is changed."""
    paid_from = fulfillment.paid_from or fulfillment.next_fulfillment_at
    return _key(fulfillment, "plan", plan_name, paid_from.isoformat() if paid_from else "")


def is_used(post: Posting, key: str) -> bool:
    """Tell whether the wallet has a row of this idempotency key, posted before or in this posting."""
    return (
        any(row.idempotency_key == key for row in post.rows)
        or post.wallet.transactions.using(post.wallet._state.db).filter(idempotency_key=key).exists()
    )


def announce_awards(wallet: Wallet, awards: Iterable[Award]) -> None:
    """Announce the awards of plans once they are committed; call it when their posting is written."""
    for award in awards:
        fulfillment = award.fulfillment
        if fulfillment.kind != FulfillmentKind.SUBSCRIPTION or not award.rows:
            continue
        announce(
            "subscription_credits_awarded",
            wallet,
            amount=award.amount,
            transaction=award.rows[-1],
            fulfillment=fulfillment,
            reason=award.reason,
            metadata={
                "plan_name": fulfillment.plan_name,
                "plan": conf.find_subscription_plan(fulfillment.plan_name),
                "fulfillment_period": fulfillment.period,
                "reason": award.reason,
                **award.details,
            },
        )


def _post(
    post: Posting,
    fulfillment: Fulfillment,
    terms: Cycle | SubscriptionPlan,
    amount: int,
    category: str,
    *,
    reason: str,
    expires_at: datetime.datetime | None = None,
    grid_date: datetime.datetime | None = None,
    key: str | None = None,
) -> Transaction:
    limit = fulfillment.credits_expire_at
    # All of it was checked where it came from: settings, or the fulfillment when it was stored.
    entry = CreditEntry(
        amount,
        category=category,
        metadata={
            **fulfillment.metadata,
            "fulfillment_id": fulfillment.pk,
            "fulfillment_period": fulfillment.period,
            "plan_name": fulfillment.plan_name,
            "reason": reason,
        },
        expires_at=min(filter(None, (expires_at, limit)), default=None),
        idempotency_key=key,
        priority=terms.priority,
        scope=terms.scope,
        fulfillment=fulfillment,
        grid_date=grid_date,
    )
    return post.credit(entry)


def _key(fulfillment: Fulfillment, *parts: str) -> str:
    """Return a key that names the fulfillment's source."""
    return _short(":".join((fulfillment.source_id or f"fulfillment:{fulfillment.pk}", *parts)))


def _short(key: str) -> str:
    """Return a key as it is, or its digest where it is too long for the column."""
    return key if len(key) <= MAX_TEXT else hashlib.sha256(key.encode()).hexdigest()

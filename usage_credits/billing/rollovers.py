"""What is kept of one cycle's credits when the next one comes."""

from __future__ import annotations

import datetime

from usage_credits import conf
from usage_credits.dsl.categories import ROLLOVER_EXCESS, SUBSCRIPTION_CREDITS, SUBSCRIPTION_UPGRADE
from usage_credits.ledger.entries import DebitEntry
from usage_credits.ledger.posting import Posting
from usage_credits.models import Fulfillment


def are_capped() -> bool:
    """Tell whether any plan of settings caps what it keeps: a posting must know all lots then."""
    return any(plan.rollover_cap is not None for plan in conf.current().catalogue.plans)


def forfeit_excess(post: Posting, fulfillment: Fulfillment, date: datetime.datetime) -> None:
    """Take what is left of the fulfillment's earlier cycles beyond its plan's `rollover_cap`, from their own lots.

    Works on a posting that takes credits, when the cycle of the grid date `date` comes, and again where that came
    before its payment: nothing is lost for a period that is not paid yet. Bonuses, bought packs and other grants are
    not touched. Cycles of this posting, made up for late, are looked at when the one after them comes.
    """
    plan = conf.find_subscription_plan(fulfillment.plan_name)
    if plan is None or plan.rollover_cap is None or fulfillment.if_unpaid:
        return
    cycles = fulfillment.transactions.using(post.wallet._state.db).filter(
        category__in=(SUBSCRIPTION_CREDITS, SUBSCRIPTION_UPGRADE), lot__is_open=True, expires_at=None
    )
    dates = dict(cycles.values_list("pk", "grid_date"))
    rows = frozenset(pk for pk in dates if dates[pk] != date)
    excess = sum(lot.remaining for lot in post.lots if lot.transaction_id in rows) - plan.rollover_cap
    if excess > 0:
        entry = DebitEntry(
            excess,
            category=ROLLOVER_EXCESS,
            metadata={
                **fulfillment.metadata,
                "fulfillment_id": fulfillment.pk,
                "plan_name": plan.name,
                "rollover_cap": plan.rollover_cap,
            },
            fulfillment=fulfillment,
            pays_first=rows,
        )
        # Their own lots hold all of it, so nothing becomes debt.
        post.debit(entry, allow_negative=True)

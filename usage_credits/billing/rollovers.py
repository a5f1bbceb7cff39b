"""What is kept of one cycle's credits when the next one comes."""

from __future__ import annotations

import datetime
from collections.abc import Iterable

from django.db.models import Prefetch, prefetch_related_objects

from usage_credits import conf
from usage_credits.dsl.categories import ROLLOVER_EXCESS, SUBSCRIPTION_CREDITS, SUBSCRIPTION_UPGRADE
from usage_credits.ledger.entries import DebitEntry
from usage_credits.ledger.posting import Posting
from usage_credits.models import Fulfillment, Transaction

_CYCLES = "open_cycles"


def are_capped() -> bool:
    """Tell whether any plan of settings caps what it keeps: a posting must know all lots then."""
    return any(plan.rollover_cap is not None for plan in conf.current().catalogue.plans)


def read_cycles(fulfillments: Iterable[Fulfillment]) -> None:
    """Read which rows of fulfillments, locked as their wallets are, may hold something to keep; one statement.

    Where none of them is on a plan that caps it, there is none; what was read is not read again.
    """
    capped = {plan.name for plan in conf.current().catalogue.plans if plan.rollover_cap is not None}
    asked = [one for one in fulfillments if one.plan_name in capped or one.pending_plan in capped]
    if not asked:
        return
    open_cycles = (
        Transaction.objects.using(asked[0]._state.db)
        .filter(category__in=(SUBSCRIPTION_CREDITS, SUBSCRIPTION_UPGRADE), lot__is_open=True, expires_at=None)
        .only("fulfillment", "grid_date")
    )
    prefetch_related_objects(asked, Prefetch("transactions", open_cycles, to_attr=_CYCLES))


def forfeit_excess(post: Posting, fulfillment: Fulfillment, date: datetime.datetime) -> None:
    """Take what is left of the fulfillment's earlier cycles beyond its plan's `rollover_cap`, from their own lots.

    Works on a posting that takes credits, when the cycle of the grid date `date` comes, and again where that came
    before its payment: nothing is lost for a period that is not paid yet. Bonuses, bought packs and other grants are
    not touched. Cycles of this posting, made up for late, are looked at when the one after them comes.
    """
    plan = conf.find_subscription_plan(fulfillment.plan_name)
    if plan is None or plan.rollover_cap is None or fulfillment.if_unpaid:
        return
    read_cycles([fulfillment])
    cycles: list[Transaction] = getattr(fulfillment, _CYCLES)
    rows = frozenset(cycle.pk for cycle in cycles if cycle.grid_date != date)
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

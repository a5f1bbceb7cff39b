"""What becomes of awarded credits when what awarded them has ended, or should not have awarded them."""

from __future__ import annotations

import datetime

from usage_credits import conf
from usage_credits.billing.plan_changes import clear_pending
from usage_credits.dsl.categories import REVERSAL
from usage_credits.ledger.entries import DebitEntry
from usage_credits.ledger.expiry import bring_forward
from usage_credits.ledger.posting import Posting
from usage_credits.models import Fulfillment, Transaction

REVOKED = "not_due"
"""The reason that a row gives which takes back an award that was not due."""


def end(post: Posting, fulfillment: Fulfillment, ended_at: datetime.datetime) -> None:
    """Close a fulfillment that ended for good: no award is due any more, and its credits go as its plan says.

    Where the plan has an `expire_after`, what is left of all that the fulfillment awarded expires that long after the
    end at the latest; nothing else in the wallet is touched. What could not be awarded stays due.
    """
    clear_pending(fulfillment)
    revoke(post, fulfillment, after=ended_at)
    if not fulfillment.last_error:
        fulfillment.next_fulfillment_at = None
    plan = conf.find_subscription_plan(fulfillment.plan_name)
    if plan is not None and plan.expire_after is not None and fulfillment.credits_expire_at is None:
        # An end that is known late does not reach back: what was spent meanwhile was there to spend.
        fulfillment.credits_expire_at = max(ended_at + plan.expire_after, post.now)
        bring_forward(post, fulfillment, fulfillment.credits_expire_at)


def revoke(post: Posting, fulfillment: Fulfillment, *, after: datetime.datetime) -> None:
    """Take back what is left of awards for grid dates after `after`, made before it was known that there were none.

    One debit, paid by their own lots; what was spent of them stays spent, and what holds keep is taken at a later
    call, once it is released. `post` takes credits.
    """
    awards = Transaction.objects.using(post.wallet._state.db).filter(
        fulfillment=fulfillment.pk, grid_date__gt=after
    )
    dates = {pk: date.isoformat() for pk, date in awards.values_list("pk", "grid_date") if date}
    lots = [lot for lot in post.lots if lot.transaction_id in dates] if dates else []
    left = sum(lot.remaining for lot in lots)
    if not left:
        return
    entry = DebitEntry(
        left,
        category=REVERSAL,
        metadata={
            **fulfillment.metadata,
            "fulfillment_id": fulfillment.pk,
            "plan_name": fulfillment.plan_name,
            "reason": REVOKED,
            "not_due_after": after.isoformat(),
            "grid_dates": sorted(dates[lot.transaction_id] for lot in lots),
        },
        fulfillment=fulfillment,
        pays_first=frozenset(dates),
    )
    # Their own lots hold all of it, so nothing becomes debt.
    post.debit(entry, allow_negative=True)

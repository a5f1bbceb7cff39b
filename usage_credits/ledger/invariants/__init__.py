"""The invariants as SQL: what each forbids, selected as (wallet, row, figures for the message).

Plain SQL because each is one set-based statement over several tables with window functions, the same on every
database. Sums over other tables are subqueries on an index and not joins with grouped tables: those are as fast only
where the planner knows the sizes, and quadratic where it guesses, as on a table that was just filled.
Lots and allocations are reached through transactions, whose index leads with the wallet that `%(first)s` and
`%(last)s` bound. CATEGORIES are bound too.
"""

from __future__ import annotations

from usage_credits.dsl.categories import (
    AWARDS,
    CREDIT_PACK_PURCHASE,
    CREDIT_PACK_REFUND,
    EXPIRATION,
    REVERSAL,
    SUBSCRIPTION_REFUND,
    TRANSFER_IN,
    TRANSFER_OUT,
)
from usage_credits.ledger.invariants.caps import CAP_CHECKS
from usage_credits.ledger.invariants.check import Check
from usage_credits.ledger.invariants.holds import HOLD_CHECKS
from usage_credits.ledger.invariants.payments import PAYMENT_CHECKS
from usage_credits.ledger.invariants.rows import ROW_CHECKS
from usage_credits.ledger.invariants.scopes import SCOPE_CHECKS
from usage_credits.ledger.invariants.transfers import TRANSFER_CHECKS

CATEGORIES = {
    "expiration": EXPIRATION,
    "reversal": REVERSAL,
    "transfer_out": TRANSFER_OUT,
    "transfer_in": TRANSFER_IN,
    "credit_pack_purchase": CREDIT_PACK_PURCHASE,
    "credit_pack_refund": CREDIT_PACK_REFUND,
    "subscription_refund": SUBSCRIPTION_REFUND,
    **{category: category for category in AWARDS},
}

CHECKS: tuple[Check, ...] = (
    ROW_CHECKS + PAYMENT_CHECKS + CAP_CHECKS + HOLD_CHECKS + TRANSFER_CHECKS + SCOPE_CHECKS
)

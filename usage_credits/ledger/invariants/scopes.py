"""The invariants of scopes, as SQL; see `usage_credits.ledger.invariants`.

A scope is text with each name between line breaks. What looks for a name in it works alike on every database: LIKE has
wildcards, and how texts are joined or searched has another name on each.
"""

from __future__ import annotations

from usage_credits.ledger.invariants.check import Check

SCOPE_CHECKS = (
    # An expiry, a reversal of that very credit and what takes back an award of its own fulfillment go by no scope.
    Check(
        "INV-4",
        "allocation",
        "it takes {0} from lot {1} for {2}, which is not in the lot's scope",
        """
        SELECT a.wallet_id, a.id, a.amount, a.lot_id, d.operation
        FROM usage_credits_transaction d
        JOIN usage_credits_allocation a ON a.debit_id = d.id
        JOIN usage_credits_lot l ON l.id = a.lot_id
        JOIN usage_credits_transaction c ON c.id = l.transaction_id
        WHERE d.wallet_id BETWEEN %(first)s AND %(last)s AND l.scope IS NOT NULL AND d.category <> %(expiration)s
          AND (d.reverses_id IS NULL OR d.reverses_id <> c.id)
          AND (d.fulfillment_id IS NULL OR c.fulfillment_id IS NULL OR d.fulfillment_id <> c.fulfillment_id)
          AND (d.operation IS NULL OR REPLACE(l.scope, REPLACE('\n?\n', '?', d.operation), '') = l.scope)
        """,
    ),
    Check(
        "INV-4",
        "held lot",
        "it keeps {0} of lot {1} for {2}, which is not in the lot's scope",
        """
        SELECT h.wallet_id, p.id, p.amount, p.lot_id, h.operation
        FROM usage_credits_hold h
        JOIN usage_credits_heldlot p ON p.hold_id = h.id
        JOIN usage_credits_lot l ON l.id = p.lot_id
        WHERE h.wallet_id BETWEEN %(first)s AND %(last)s AND l.scope IS NOT NULL
          AND (h.operation IS NULL OR REPLACE(l.scope, REPLACE('\n?\n', '?', h.operation), '') = l.scope)
        """,
    ),
)

"""The invariants of holds, as SQL; see `usage_credits.ledger.invariants`."""

from __future__ import annotations

from usage_credits.ledger.invariants.check import Check

HOLD_CHECKS = (
    Check(
        "INV-3",
        "wallet",
        "open holds keep {1}, the wallet's held is {0}",
        """
        SELECT id, id, held, kept FROM (
            SELECT w.id, w.held,
                   (SELECT COALESCE(SUM(p.amount), 0) FROM usage_credits_hold h
                    JOIN usage_credits_heldlot p ON p.hold_id = h.id
                    WHERE h.wallet_id = w.id AND h.is_open) AS kept
            FROM usage_credits_wallet w WHERE w.id BETWEEN %(first)s AND %(last)s
        ) wallets WHERE held <> kept
        """,
    ),
    Check(
        "INV-3",
        "hold",
        "of {0} it says {1} captured, its rows charge {2}, it keeps {3}, or some of that is in another wallet",
        """
        SELECT wallet_id, id, amount, captured, charged, kept FROM (
            SELECT h.wallet_id, h.id, h.amount, h.captured, h.is_open,
                   (SELECT COALESCE(-SUM(t.amount), 0) FROM usage_credits_transaction t
                    WHERE t.hold_id = h.id AND t.category <> %(expiration)s) AS charged,
                   (SELECT COALESCE(SUM(p.amount), 0) FROM usage_credits_heldlot p
                    WHERE p.hold_id = h.id) AS kept,
                   (SELECT COUNT(*) FROM usage_credits_transaction t
                    WHERE t.hold_id = h.id AND t.wallet_id <> h.wallet_id) AS stray_rows,
                   (SELECT COUNT(*) FROM usage_credits_heldlot p JOIN usage_credits_lot l ON l.id = p.lot_id
                    WHERE p.hold_id = h.id AND l.wallet_id <> h.wallet_id) AS stray_lots
            FROM usage_credits_hold h WHERE h.wallet_id BETWEEN %(first)s AND %(last)s
        ) holds
        WHERE captured <> charged OR stray_rows > 0 OR stray_lots > 0
              OR kept <> CASE WHEN is_open THEN amount - captured ELSE 0 END OR (is_open AND kept = 0)
        """,
    ),
    Check(
        "INV-4",
        "transaction",
        "it charges hold {0}, whose time was over",
        """
        SELECT t.wallet_id, t.id, t.hold_id
        FROM usage_credits_transaction t JOIN usage_credits_hold h ON h.id = t.hold_id
        WHERE t.wallet_id BETWEEN %(first)s AND %(last)s AND t.category <> %(expiration)s
          AND t.created_at >= h.expires_at
        """,
    ),
)

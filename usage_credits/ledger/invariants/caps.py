"""The invariants of spending caps, as SQL; see `usage_credits.ledger.invariants`."""

from __future__ import annotations

from usage_credits.ledger.invariants.check import Check

CAP_CHECKS = (
    Check(
        "INV-9",
        "spending cap",
        "its key spent {1} from transaction {2} on, it says {0}",
        """
        SELECT wallet_id, id, spent, posted - undone, counts_from FROM (
            SELECT c.wallet_id, c.id, c.spent, c.counts_from,
                   (SELECT COALESCE(-SUM(t.amount), 0) FROM usage_credits_transaction t
                    WHERE t.wallet_id = c.wallet_id AND t.id >= c.counts_from
                      AND t.attributed_to = c.attributed_to AND t.amount < 0) AS posted,
                   (SELECT COALESCE(SUM(r.amount), 0)
                    FROM usage_credits_transaction t JOIN usage_credits_transaction r ON r.reverses_id = t.id
                    WHERE t.wallet_id = c.wallet_id AND t.id >= c.counts_from
                      AND t.attributed_to = c.attributed_to AND t.amount < 0) AS undone
            FROM usage_credits_spendingcap c WHERE c.wallet_id BETWEEN %(first)s AND %(last)s
        ) caps WHERE spent <> posted - undone
        """,
    ),
    # A window is opened by the transaction that it counts from, or else by the cap itself when it is new.
    Check(
        "INV-9",
        "spending cap",
        "its window starts at {0}, before which transaction {1} opened it",
        """
        SELECT c.wallet_id, c.id, c.window_start, c.counts_from
        FROM usage_credits_spendingcap c
        LEFT JOIN usage_credits_transaction t ON t.id = c.counts_from AND t.wallet_id = c.wallet_id
        WHERE c.wallet_id BETWEEN %(first)s AND %(last)s
          AND c.window_start > c.created_at AND (t.id IS NULL OR c.window_start > t.created_at)
        """,
    ),
    Check(
        "INV-9",
        "wallet",
        "there are {1} spending caps, the wallet counts {0}",
        """
        SELECT id, id, cap_count, caps FROM (
            SELECT w.id, w.cap_count,
                   (SELECT COUNT(*) FROM usage_credits_spendingcap c WHERE c.wallet_id = w.id) AS caps
            FROM usage_credits_wallet w WHERE w.id BETWEEN %(first)s AND %(last)s
        ) wallets WHERE cap_count <> caps
        """,
    ),
)

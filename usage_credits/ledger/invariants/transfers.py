"""The invariants of transfers and reversals, as SQL; see `usage_credits.ledger.invariants`."""

from __future__ import annotations

from usage_credits.ledger.invariants.check import Check

TRANSFER_CHECKS = (
    # What a payment awarded may be less by then than what is left of one of its rows: fulfillments are checked apart.
    # A debit is reversed as a whole, but for corrections of what was recorded: those have keys and may be of a part.
    Check(
        "INV-6",
        "transaction",
        "of {0} there were {1} reversed, {2} are claimed and {3} had expired, or it stays, "
        "or the rows that reverse it are in another wallet",
        """
        SELECT wallet_id, id, amount, undone, claimed, expired FROM (
            SELECT t.wallet_id, t.id, t.amount, t.category, t.fulfillment_id,
                   (SELECT COALESCE(-SUM(r.amount), 0) FROM usage_credits_transaction r
                    WHERE r.reverses_id = t.id) AS undone,
                   (SELECT COALESCE(SUM(d.open_amount), 0) FROM usage_credits_debt d
                    WHERE d.reverses_id = t.id) AS claimed,
                   (SELECT COALESCE(SUM(a.amount), 0)
                    FROM usage_credits_lot l
                    JOIN usage_credits_allocation a ON a.lot_id = l.id
                    JOIN usage_credits_transaction e ON e.id = a.debit_id
                    WHERE l.transaction_id = t.id AND e.category = %(expiration)s) AS expired,
                   (SELECT COUNT(*) FROM usage_credits_transaction r
                    WHERE r.reverses_id = t.id AND r.idempotency_key IS NULL) AS whole,
                   (SELECT COUNT(*) FROM usage_credits_transaction r
                    WHERE r.reverses_id = t.id AND r.wallet_id <> t.wallet_id) AS strays
            FROM usage_credits_transaction t
            JOIN (
                SELECT reverses_id FROM usage_credits_transaction
                WHERE wallet_id BETWEEN %(first)s AND %(last)s AND reverses_id IS NOT NULL
                UNION
                SELECT reverses_id FROM usage_credits_debt
                WHERE wallet_id BETWEEN %(first)s AND %(last)s AND reverses_id IS NOT NULL
            ) reversals ON reversals.reverses_id = t.id
        ) reversed WHERE strays > 0 OR category IN (%(expiration)s, %(reversal)s)
                         OR (amount < 0 AND (undone < amount OR undone > 0 OR (whole > 0 AND undone <> amount)))
                         OR (amount > 0 AND (undone < 0 OR undone + claimed > amount))
                         OR (amount > 0 AND fulfillment_id IS NULL AND undone + claimed + expired < amount)
        """,
    ),
    Check(
        "INV-8",
        "transfer",
        "of {0} there were {1} sent and {2} received, or a leg is of another wallet or asset",
        """
        SELECT from_wallet_id, id, amount, sent, received FROM (
            SELECT f.from_wallet_id, f.id, f.amount,
                   (SELECT COALESCE(-SUM(t.amount), 0) FROM usage_credits_transaction t
                    WHERE t.transfer_id = f.id AND t.wallet_id = f.from_wallet_id
                      AND t.category = %(transfer_out)s) AS sent,
                   (SELECT COALESCE(SUM(t.amount), 0) FROM usage_credits_transaction t
                    WHERE t.transfer_id = f.id AND t.wallet_id = f.to_wallet_id
                      AND t.category = %(transfer_in)s) AS received,
                   (SELECT COALESCE(SUM(t.amount), 0) FROM usage_credits_transaction t
                    WHERE t.transfer_id = f.id) AS made,
                   (SELECT COUNT(*) FROM usage_credits_wallet w
                    WHERE w.id IN (f.from_wallet_id, f.to_wallet_id) AND w.asset = f.asset) AS fitting
            FROM usage_credits_transfer f WHERE f.from_wallet_id BETWEEN %(first)s AND %(last)s
        ) transfers WHERE sent <> amount OR received <> amount OR made <> 0 OR fitting <> 2
        """,
    ),
    # What was held at the reversal is claimed, and may have expired since.
    Check(
        "INV-8",
        "transfer",
        "its reversal gave back {0}; {1} were taken, {2} are claimed and {3} had expired",
        """
        SELECT from_wallet_id, id, given, taken, claimed, expired FROM (
            SELECT f.from_wallet_id, f.id,
                   (SELECT COALESCE(SUM(r.amount), 0)
                    FROM usage_credits_transaction t JOIN usage_credits_transaction r ON r.reverses_id = t.id
                    WHERE t.transfer_id = f.id AND t.amount < 0) AS given,
                   (SELECT COALESCE(-SUM(r.amount), 0)
                    FROM usage_credits_transaction t JOIN usage_credits_transaction r ON r.reverses_id = t.id
                    WHERE t.transfer_id = f.id AND t.amount > 0) AS taken,
                   (SELECT COALESCE(SUM(d.open_amount), 0)
                    FROM usage_credits_transaction t JOIN usage_credits_debt d ON d.reverses_id = t.id
                    WHERE t.transfer_id = f.id) AS claimed,
                   (SELECT COALESCE(SUM(a.amount), 0)
                    FROM usage_credits_transaction t
                    JOIN usage_credits_lot l ON l.transaction_id = t.id
                    JOIN usage_credits_allocation a ON a.lot_id = l.id
                    JOIN usage_credits_transaction e ON e.id = a.debit_id
                    WHERE t.transfer_id = f.id AND t.amount > 0 AND e.category = %(expiration)s) AS expired
            FROM usage_credits_transfer f WHERE f.from_wallet_id BETWEEN %(first)s AND %(last)s
        ) transfers WHERE given < taken + claimed
                          OR (given + taken + claimed > 0 AND given > taken + claimed + expired)
        """,
    ),
)

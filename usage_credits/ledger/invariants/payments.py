"""The invariants of what payments awarded, took back and claim, as SQL; see `usage_credits.ledger.invariants`."""

from __future__ import annotations

from usage_credits.ledger.invariants.check import Check

PAYMENT_CHECKS = (
    Check(
        "INV-6",
        "fulfillment",
        "the purchase was awarded {0} times",
        """
        SELECT f.wallet_id, f.id, COUNT(*)
        FROM usage_credits_fulfillment f JOIN usage_credits_transaction t ON t.fulfillment_id = f.id
        WHERE f.wallet_id BETWEEN %(first)s AND %(last)s AND t.category = %(credit_pack_purchase)s
        GROUP BY f.wallet_id, f.id HAVING COUNT(*) > 1
        """,
    ),
    Check(
        "INV-6",
        "fulfillment",
        "{1} were taken back of {0} awarded, {2} more are claimed, {3} reversed, or its rows are in another wallet",
        """
        SELECT wallet_id, id, awarded, taken, claimed, undone FROM (
            SELECT f.wallet_id, f.id,
                   (SELECT COALESCE(SUM(t.amount), 0) FROM usage_credits_transaction t
                    WHERE t.fulfillment_id = f.id AND t.amount > 0
                      AND t.category NOT IN (%(credit_pack_refund)s, %(subscription_refund)s)) AS awarded,
                   (SELECT COALESCE(-SUM(t.amount), 0) FROM usage_credits_transaction t
                    WHERE t.fulfillment_id = f.id
                      AND t.category IN (%(credit_pack_refund)s, %(subscription_refund)s)) AS taken,
                   (SELECT COALESCE(SUM(d.open_amount), 0) FROM usage_credits_debt d
                    WHERE d.fulfillment_id = f.id) AS claimed,
                   (SELECT COALESCE(-SUM(r.amount), 0)
                    FROM usage_credits_transaction t JOIN usage_credits_transaction r ON r.reverses_id = t.id
                    WHERE t.fulfillment_id = f.id AND t.amount > 0)
                   + (SELECT COALESCE(SUM(d.open_amount), 0)
                      FROM usage_credits_transaction t JOIN usage_credits_debt d ON d.reverses_id = t.id
                      WHERE t.fulfillment_id = f.id) AS undone,
                   (SELECT COUNT(*) FROM usage_credits_transaction t
                    WHERE t.fulfillment_id = f.id AND t.wallet_id <> f.wallet_id) AS strays
            FROM usage_credits_fulfillment f WHERE f.wallet_id BETWEEN %(first)s AND %(last)s
        ) fulfillments WHERE taken < 0 OR taken + claimed + undone > awarded OR strays > 0
        """,
    ),
    Check(
        "INV-6",
        "wallet",
        "the open claims add up to {1}, the wallet's claims are {0}",
        """
        SELECT id, id, claims, claimed FROM (
            SELECT w.id, w.claims,
                   (SELECT COALESCE(SUM(d.open_amount), 0) FROM usage_credits_debt d
                    WHERE d.wallet_id = w.id) AS claimed
            FROM usage_credits_wallet w WHERE w.id BETWEEN %(first)s AND %(last)s
        ) wallets WHERE claims <> claimed OR claims < 0
        """,
    ),
    Check(
        "INV-6",
        "debt",
        "of a claim of {0} there are {1} open, or its fulfillment or credit is of another wallet",
        """
        SELECT d.wallet_id, d.id, d.amount, d.open_amount
        FROM usage_credits_debt d
        LEFT JOIN usage_credits_fulfillment f ON f.id = d.fulfillment_id
        LEFT JOIN usage_credits_transaction r ON r.id = d.reverses_id
        WHERE d.wallet_id BETWEEN %(first)s AND %(last)s
          AND (d.open_amount < 0 OR d.open_amount > d.amount OR d.wallet_id <> COALESCE(f.wallet_id, r.wallet_id)
               OR d.amount > r.amount)
        """,
    ),
    Check(
        "INV-6",
        "recharge",
        "it was paid by {0} and awarded {1} times, or by a fulfillment of another payment",
        """
        SELECT wallet_id, id, payment, awards FROM (
            SELECT r.wallet_id, r.id, r.payment, f.source_id,
                   (SELECT COUNT(*) FROM usage_credits_transaction t
                    WHERE t.fulfillment_id = r.fulfillment_id AND t.category = %(credit_pack_purchase)s) AS awards
            FROM usage_credits_recharge r LEFT JOIN usage_credits_fulfillment f ON f.id = r.fulfillment_id
            WHERE r.wallet_id BETWEEN %(first)s AND %(last)s AND r.state = 'succeeded'
        ) recharges WHERE awards <> 1 OR payment <> source_id
        """,
    ),
)

"""The invariants of balances, rows, lots and keys, as SQL; see `usage_credits.ledger.invariants`."""

from __future__ import annotations

from usage_credits.dsl.categories import AWARDS
from usage_credits.ledger.invariants.check import Check

_AWARDS = ", ".join(f"%({category})s" for category in sorted(AWARDS))

ROW_CHECKS = (
    Check(
        "INV-1",
        "wallet",
        "the transactions add up to {1}, the booked balance is {0}",
        """
        SELECT id, id, balance, posted FROM (
            SELECT w.id, w.balance,
                   (SELECT COALESCE(SUM(t.amount), 0) FROM usage_credits_transaction t
                    WHERE t.wallet_id = w.id) AS posted
            FROM usage_credits_wallet w WHERE w.id BETWEEN %(first)s AND %(last)s
        ) wallets WHERE balance <> posted
        """,
    ),
    Check(
        "INV-1",
        "wallet",
        "lots and holds less debt are {1}, the booked balance is {0}",
        """
        SELECT id, id, balance, stock FROM (
            SELECT w.id, w.balance,
                   (SELECT COALESCE(SUM(l.remaining), 0) FROM usage_credits_lot l
                    WHERE l.wallet_id = w.id AND l.is_open) + w.held - w.debt AS stock
            FROM usage_credits_wallet w WHERE w.id BETWEEN %(first)s AND %(last)s
        ) wallets WHERE balance <> stock
        """,
    ),
    Check(
        "INV-9",
        "wallet",
        "the last award was {1}, the wallet says {0}",
        f"""
        SELECT id, id, last_award, awarded FROM (
            SELECT w.id, COALESCE(w.last_award, 0) AS last_award,
                   COALESCE((SELECT t.amount FROM usage_credits_transaction t
                             WHERE t.wallet_id = w.id AND t.amount > 0
                               AND t.category IN ({_AWARDS})
                             ORDER BY t.id DESC LIMIT 1), 0) AS awarded
            FROM usage_credits_wallet w WHERE w.id BETWEEN %(first)s AND %(last)s
        ) wallets WHERE last_award <> awarded
        """,  # noqa: S608 - names of categories
    ),
    Check(
        "INV-2",
        "transaction",
        "the balance before is {0}, the row before it left {1}",
        """
        SELECT wallet_id, id, balance_before, left_by_previous FROM (
            SELECT wallet_id, id, balance_before,
                   COALESCE(LAG(balance_after) OVER (PARTITION BY wallet_id ORDER BY id), 0) AS left_by_previous
            FROM usage_credits_transaction WHERE wallet_id BETWEEN %(first)s AND %(last)s
        ) chain WHERE balance_before <> left_by_previous
        """,
    ),
    Check(
        "INV-2",
        "transaction",
        "{0} before and an amount of {1} do not give {2} after",
        """
        SELECT wallet_id, id, balance_before, amount, balance_after FROM usage_credits_transaction
        WHERE wallet_id BETWEEN %(first)s AND %(last)s AND balance_before + amount <> balance_after
        """,
    ),
    # Debts are settled oldest first: what is still open belongs to the latest overdrafts that add up to the debt.
    Check(
        "INV-3",
        "transaction",
        "the debit of {0} is paid by allocations of {1} and an open debt of {2}",
        """
        SELECT wallet_id, id, size, paid, open_debt FROM (
            SELECT wallet_id, id, size, paid,
                   CASE WHEN debt <= upto - overdraft THEN 0
                        WHEN debt < upto THEN debt - (upto - overdraft)
                        ELSE overdraft END AS open_debt
            FROM (
                SELECT t.wallet_id, t.id, -t.amount AS size, t.overdraft, w.debt,
                       (SELECT COALESCE(SUM(a.amount), 0) FROM usage_credits_allocation a
                        WHERE a.debit_id = t.id) AS paid,
                       SUM(t.overdraft) OVER (PARTITION BY t.wallet_id ORDER BY t.id DESC) AS upto
                FROM usage_credits_transaction t
                JOIN usage_credits_wallet w ON w.id = t.wallet_id
                WHERE t.wallet_id BETWEEN %(first)s AND %(last)s AND t.amount < 0
            ) debits
        ) shares WHERE size <> paid + open_debt
        """,
    ),
    Check(
        "INV-3",
        "lot",
        "of {0} there are {1} allocated, {2} held and {3} remaining",
        """
        SELECT wallet_id, id, amount, paid, kept, remaining FROM (
            SELECT l.wallet_id, l.id, l.amount, l.remaining,
                   (SELECT COALESCE(SUM(a.amount), 0) FROM usage_credits_allocation a
                    WHERE a.lot_id = l.id) AS paid,
                   (SELECT COALESCE(SUM(p.amount), 0) FROM usage_credits_heldlot p
                    JOIN usage_credits_hold h ON h.id = p.hold_id
                    WHERE p.lot_id = l.id AND h.is_open) AS kept
            FROM usage_credits_transaction t JOIN usage_credits_lot l ON l.transaction_id = t.id
            WHERE t.wallet_id BETWEEN %(first)s AND %(last)s
        ) lots WHERE amount <> paid + kept + remaining
        """,
    ),
    Check(
        "INV-3",
        "transaction",
        "the credit of {0} has a lot of {1}, or their wallets, expiries or open flags differ",
        """
        SELECT t.wallet_id, t.id, t.amount, l.amount
        FROM (
            SELECT t.wallet_id, t.id, t.amount,
                   CASE WHEN f.credits_expire_at < t.expires_at OR t.expires_at IS NULL
                        THEN COALESCE(f.credits_expire_at, t.expires_at) ELSE t.expires_at END AS ends_at
            FROM usage_credits_transaction t
            LEFT JOIN usage_credits_fulfillment f ON f.id = t.fulfillment_id
            WHERE t.wallet_id BETWEEN %(first)s AND %(last)s AND t.amount > 0
        ) t LEFT JOIN usage_credits_lot l ON l.transaction_id = t.id
        WHERE (l.id IS NULL OR l.amount <> t.amount OR l.wallet_id <> t.wallet_id
               OR l.is_open <> (l.remaining > 0) OR (l.expires_at IS NULL) <> (t.ends_at IS NULL)
               OR l.expires_at <> t.ends_at)
        """,
    ),
    Check(
        "INV-4",
        "allocation",
        "it takes {0} from lot {1}, which had expired by then",
        """
        SELECT a.wallet_id, a.id, a.amount, a.lot_id
        FROM usage_credits_transaction d
        JOIN usage_credits_allocation a ON a.debit_id = d.id
        JOIN usage_credits_lot l ON l.id = a.lot_id
        LEFT JOIN usage_credits_hold h ON h.id = d.hold_id
        WHERE d.wallet_id BETWEEN %(first)s AND %(last)s AND d.category <> %(expiration)s
          AND ((h.id IS NULL AND l.expires_at <= d.created_at) OR l.expires_at < h.created_at)
        """,
    ),
    Check(
        "INV-4",
        "allocation",
        "it books the expiry of lot {1}, which had not expired by then",
        """
        SELECT a.wallet_id, a.id, a.amount, a.lot_id
        FROM usage_credits_transaction d
        JOIN usage_credits_allocation a ON a.debit_id = d.id
        JOIN usage_credits_lot l ON l.id = a.lot_id
        WHERE d.wallet_id BETWEEN %(first)s AND %(last)s AND d.category = %(expiration)s
          AND (l.expires_at IS NULL OR l.expires_at > d.created_at)
        """,
    ),
    Check(
        "INV-4",
        "allocation",
        "its debit is of wallet {0}, its lot of wallet {1}, or its debit is no debit",
        """
        SELECT a.wallet_id, a.id, d.wallet_id, l.wallet_id
        FROM usage_credits_transaction d
        JOIN usage_credits_allocation a ON a.debit_id = d.id
        JOIN usage_credits_lot l ON l.id = a.lot_id
        WHERE d.wallet_id BETWEEN %(first)s AND %(last)s
          AND (d.wallet_id <> a.wallet_id OR l.wallet_id <> a.wallet_id OR d.amount >= 0)
        """,
    ),
    # What a hold keeps counts in the balance and may stand against a debt: charging it then shows the debt. So does
    # spending what a scope keeps from an older debt, as long as negatives are allowed.
    Check(
        "INV-5",
        "transaction",
        "it takes the balance from {0} to {1} with an overdraft of {2}",
        """
        SELECT wallet_id, id, balance_before, balance_after, overdraft FROM usage_credits_transaction t
        WHERE wallet_id BETWEEN %(first)s AND %(last)s AND amount < 0
          AND ((hold_id IS NULL AND category <> %(expiration)s
                AND balance_before >= 0 AND balance_after < 0 AND overdraft < -balance_after
                AND (overdraft + (SELECT COALESCE(SUM(a.amount), 0) FROM usage_credits_allocation a
                                  JOIN usage_credits_lot l ON l.id = a.lot_id
                                  WHERE a.debit_id = t.id AND l.scope IS NOT NULL) < -balance_after
                     OR NOT EXISTS (SELECT 1 FROM usage_credits_transaction o
                                    WHERE o.wallet_id = t.wallet_id AND o.id < t.id AND o.overdraft > 0)))
               OR (overdraft > 0 AND (hold_id IS NOT NULL OR category IN (%(transfer_out)s, %(expiration)s))))
        """,
    ),
    Check(
        "INV-6",
        "transaction",
        "its idempotency key {0} had an effect before, in transaction {1}",
        """
        SELECT t.wallet_id, t.id, t.idempotency_key, f.first_id
        FROM usage_credits_transaction t
        JOIN (
            SELECT wallet_id, idempotency_key, MIN(id) AS first_id FROM usage_credits_transaction
            WHERE wallet_id BETWEEN %(first)s AND %(last)s AND idempotency_key IS NOT NULL
            GROUP BY wallet_id, idempotency_key HAVING COUNT(*) > 1
        ) f ON f.wallet_id = t.wallet_id AND f.idempotency_key = t.idempotency_key
        WHERE t.id <> f.first_id
        """,
    ),
    Check(
        "INV-6",
        "key alias",
        "its key {0} stands for transaction {1} and is also the key of another, or that is of another wallet",
        """
        SELECT k.wallet_id, k.id, k.key, k.transaction_id
        FROM usage_credits_keyalias k
        JOIN usage_credits_transaction t ON t.id = k.transaction_id
        LEFT JOIN usage_credits_transaction o
            ON o.wallet_id = k.wallet_id AND o.idempotency_key = k.key AND o.id <> k.transaction_id
        WHERE k.wallet_id BETWEEN %(first)s AND %(last)s AND (o.id IS NOT NULL OR t.wallet_id <> k.wallet_id)
        """,
    ),
)

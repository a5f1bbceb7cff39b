"""Fill the ledger with a million rows: one hot wallet and thousands of small ones, as if all had been used at once.

PostgreSQL writes them itself, so that they take seconds; `verify` finds them sound.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from django.apps import apps
from django.db import connection

from tests.app.models import User
from usage_credits import find_credit_pack
from usage_credits.models import Wallet

HOT_ROWS = 400_000
SMALL_ROWS = 120
SMALL_WALLETS = 5_000
ROUND = 20
"""Each credit of the past is followed by as many debits of 1 as use it up: the others of a round."""
LOTS = 5
AMOUNT = 1_000_000

FULFILLMENTS = """
INSERT INTO usage_credits_fulfillment
    (wallet_id, kind, source, source_id, plan_name, pack_name, as_sold, credits_last_awarded, seats, seats_awarded,
     anchor, period, last_fulfilled_at, next_fulfillment_at, stops_at, stop_reason, pending_plan, if_unpaid, revision,
     last_error, metadata, created_at)
SELECT id, 'manual', 'manual', 'grant:' || id, '', '', '{}', 100, 1, 1,
       now() - interval '401 days', 'P1M', now() - interval '20 days',
       CASE WHEN mod(n, 10) = 0 THEN NULL WHEN mod(n, 250) = 1 THEN now() - interval '1 hour'
            ELSE now() + mod(n, 300) * interval '1 hour' + interval '1 hour' END,
       CASE WHEN mod(n, 10) = 0 THEN now() - interval '10 days' WHEN mod(n, 250) = 2 THEN now() - interval '1 hour'
            WHEN mod(n, 7) = 0 THEN now() + interval '100 days' END,
       '', '', '{}', 0, '', '{"credits": 100, "unused_credits": "expire"}', now() - interval '401 days'
FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM usage_credits_wallet) wallets
"""
# What stays there to spend. Two of the five lots never expire; of every hundredth wallet one has expired.
STOCK = """
INSERT INTO usage_credits_transaction
    (wallet_id, amount, category, balance_before, balance_after, overdraft, metadata, created_at, expires_at)
SELECT id, %(amount)s, 'credit_added', n * %(amount)s, (n + 1) * %(amount)s, 0, '{}', now() - interval '402 days',
       CASE WHEN n = 0 AND mod(id, 100) = mod(%(hot)s, 100) THEN now() - interval '1 hour'
            WHEN n < 3 THEN now() + (mod(id, 50) + n) * interval '1 day' + interval '1 day' END
FROM usage_credits_wallet CROSS JOIN generate_series(0, %(lots)s - 1) n ORDER BY n, id
"""
STOCK_LOTS = """
INSERT INTO usage_credits_lot (wallet_id, transaction_id, amount, remaining, is_open, priority, expires_at)
SELECT wallet_id, id, amount, amount, true, 0, expires_at FROM usage_credits_transaction ORDER BY id
"""
# Every seventh of a round's rows charges a hold, which is closed since.
HOLDS = """
INSERT INTO usage_credits_hold
    (wallet_id, amount, captured, is_open, expires_at, category, metadata, idempotency_key, attributed_to, created_at)
SELECT %(hot)s, 1, 1, false, moment + interval '1 hour', 'operation_charge', '{}', 'hold ' || n,
       'key ' || mod(n, 50) || ' of ' || %(hot)s, moment
FROM (SELECT n, now() - interval '1 day' - interval '400 days' * (1 - n::float / %(hot_rows)s) AS moment
      FROM generate_series(6, %(hot_rows)s - 1, %(round)s) n) numbers
"""
# Every third wallet has an open hold on its last lot; the time of every fortieth of them is over.
OPEN_HOLDS = """
INSERT INTO usage_credits_hold
    (wallet_id, amount, captured, is_open, expires_at, category, metadata, attributed_to, created_at)
SELECT id, 10, 0, true, now() + CASE WHEN mod(id, 120) = 0 THEN -1 ELSE 1 END * interval '1 hour',
       'operation_charge', '{}', 'key 7 of ' || id, now() - interval '2 hours'
FROM usage_credits_wallet WHERE mod(id, 3) = 0
"""
HELD_LOTS = """
INSERT INTO usage_credits_heldlot (hold_id, lot_id, amount)
SELECT h.id, (SELECT max(l.id) FROM usage_credits_lot l WHERE l.wallet_id = h.wallet_id), h.amount
FROM usage_credits_hold h WHERE h.is_open
"""
LOTS_LESS_HELD = """
UPDATE usage_credits_lot l SET remaining = l.remaining - p.amount
FROM usage_credits_heldlot p WHERE p.lot_id = l.id
"""
PAST = """
INSERT INTO usage_credits_transaction
    (wallet_id, amount, category, balance_before, balance_after, overdraft, metadata, created_at, expires_at,
     idempotency_key, attributed_to, operation, hold_id, fulfillment_id, grid_date)
SELECT p.wallet_id, CASE step WHEN 0 THEN %(round)s - 1 ELSE -1 END,
       CASE WHEN step > 0 THEN 'operation_charge' ELSE 'credit_added' END,
       %(amount)s * %(lots)s + CASE step WHEN 0 THEN 0 ELSE %(round)s - step END,
       %(amount)s * %(lots)s + %(round)s - 1 - step, 0, '{"cost": 1}', moment,
       CASE step WHEN 0 THEN moment + interval '100 days' END,
       CASE WHEN mod(n, 2) = 1 THEN 'job ' || n END,
       CASE WHEN step > 0 THEN 'key ' || mod(n, 50) || ' of ' || p.wallet_id END,
       CASE WHEN step > 0 THEN 'report' END, h.id,
       CASE step WHEN 0 THEN f.id END, CASE WHEN step = 0 AND f.id IS NOT NULL THEN moment END
FROM (SELECT id AS wallet_id, n, mod(n, %(round)s) AS step,
             now() - interval '1 day' - interval '400 days' * (1 - n::float / rows) AS moment
      FROM (SELECT id, CASE id WHEN %(hot)s THEN %(hot_rows)s ELSE %(small_rows)s END AS rows
            FROM usage_credits_wallet) w CROSS JOIN LATERAL generate_series(0, rows - 1) n) p
LEFT JOIN usage_credits_hold h
    ON p.wallet_id = %(hot)s AND p.step = 6 AND h.wallet_id = p.wallet_id AND h.idempotency_key = 'hold ' || p.n
LEFT JOIN usage_credits_fulfillment f ON f.wallet_id = p.wallet_id
ORDER BY moment, p.wallet_id
"""
PAST_LOTS = """
INSERT INTO usage_credits_lot (wallet_id, transaction_id, amount, remaining, is_open, priority, expires_at)
SELECT wallet_id, id, amount, 0, false, 0, expires_at FROM usage_credits_transaction
WHERE amount > 0 AND amount < %(amount)s ORDER BY id
"""
PAST_ALLOCATIONS = """
INSERT INTO usage_credits_allocation (wallet_id, debit_id, lot_id, amount)
SELECT t.wallet_id, t.id, l.id, 1
FROM (SELECT wallet_id, id, amount,
             max(CASE WHEN amount > 0 THEN id END) OVER (PARTITION BY wallet_id ORDER BY id) AS credit
      FROM usage_credits_transaction) t
JOIN usage_credits_lot l ON l.transaction_id = t.credit WHERE t.amount < 0 ORDER BY t.id
"""
PAST_ALIASES = """
INSERT INTO usage_credits_keyalias (wallet_id, key, transaction_id)
SELECT wallet_id, 'old ' || id, id FROM usage_credits_transaction WHERE amount > 0 AND mod(id, 10) = 0
"""
CLAIMS = """
INSERT INTO usage_credits_debt (wallet_id, fulfillment_id, payment, amount, open_amount, metadata, created_at)
SELECT wallet_id, id, 'pi:' || id, 10, 0, '{}', now() - interval '50 days' FROM usage_credits_fulfillment
"""
CAPS = """
INSERT INTO usage_credits_spendingcap
    (wallet_id, attributed_to, every, "limit", spent, window_start, counts_from, created_at)
SELECT id, 'key ' || n || ' of ' || id, 'P1M', 1000000, 0, date_trunc('month', now(), 'UTC'),
       (SELECT max(id) + 1 FROM usage_credits_transaction), now()
FROM usage_credits_wallet CROSS JOIN generate_series(0, 1) n WHERE mod(id, 5) = 0
"""
NOTICES = """
INSERT INTO usage_credits_paymentnotice
    (source, source_id, reason, detail, customer_id, payload, attempts, created_at, last_attempt_at, resolved_at)
SELECT 'stripe', 'pi:notice ' || n, 'no_owner', '', '', '{}', 1, now(), now(), CASE WHEN mod(n, 500) > 0 THEN now() END
FROM generate_series(1, 5000) n
"""
# Every wallet may be recharged, but every tenth has stopped; of every 250th the balance is below its threshold.
RECHARGE_SETTINGS = """
INSERT INTO usage_credits_rechargesetting
    (wallet_id, pack_name, as_sold, threshold, max_per_day, max_per_month, payment_method, is_enabled, stop_reason,
     failures, paused_until, set_at, created_at)
SELECT id, 'starter', %(sold)s, CASE WHEN mod(id, 250) = 1 THEN 2 ELSE 0 END * %(amount)s * %(lots)s + 100, 3, 30, '',
       mod(id, 10) > 0, '', 0, CASE WHEN mod(id, 250) = 126 THEN now() + interval '1 hour' END, now(), now()
FROM usage_credits_wallet
"""
# Ten have ended for each wallet; for every hundredth one is in flight, and few of those are to be asked about.
RECHARGES = """
INSERT INTO usage_credits_recharge
    (wallet_id, in_flight_of_id, key, state, pack_name, as_sold, credits, amount, currency, customer_id,
     payment_method, payment, reason, error, attempts, next_attempt_at, created_at, ended_at)
SELECT id, CASE WHEN is_open THEN id END, n || ' of ' || id, CASE WHEN is_open THEN 'started' ELSE 'failed' END,
       'starter', %(sold)s, 1000, 4900, 'usd', '', '', NULL, '', '', 1,
       CASE WHEN is_open THEN now() + CASE WHEN mod(id, 500) = 2 THEN -1 ELSE 1 END * interval '1 hour' END,
       now() - n * interval '9 days' - interval '2 hours', CASE WHEN NOT is_open THEN now() END
FROM (SELECT id, n, n = 0 AND mod(id, 100) = 2 AS is_open
      FROM usage_credits_wallet CROSS JOIN generate_series(0, 10) n) numbers WHERE n > 0 OR is_open
"""
PROJECTIONS = """
UPDATE usage_credits_wallet SET balance = %(amount)s * %(lots)s, held = CASE mod(id, 3) WHEN 0 THEN 10 ELSE 0 END,
    cap_count = CASE mod(id, 5) WHEN 0 THEN 2 ELSE 0 END
"""
FILLING = (
    FULFILLMENTS,
    STOCK,
    STOCK_LOTS,
    HOLDS,
    OPEN_HOLDS,
    HELD_LOTS,
    LOTS_LESS_HELD,
    PAST,
    PAST_LOTS,
    PAST_ALLOCATIONS,
    PAST_ALIASES,
    CLAIMS,
    CAPS,
    NOTICES,
    RECHARGE_SETTINGS,
    RECHARGES,
    PROJECTIONS,
)


@dataclass(frozen=True)
class Ledger:
    """Whose plans are looked at."""

    hot: Wallet
    """One of 400,000 rows and 20,000 closed lots."""
    small: Wallet
    """One of 120 rows, from the middle of thousands alike."""


def fill_ledger() -> Ledger:
    """Fill the empty tables and return two wallets of it. Commits."""
    # Keys from 1 on: which wallets hold and which have stopped goes by them.
    empty_ledger()
    owners = User.objects.bulk_create(
        User(username=f"filled {number}") for number in range(SMALL_WALLETS + 1)
    )
    kind = Wallet(owner=owners[0]).owner_type
    wallets = Wallet.objects.bulk_create(
        Wallet(owner_type=kind, owner_id=str(owner.pk), asset="credits") for owner in owners
    )
    sold = find_credit_pack("starter")
    assert sold
    hot, small = wallets[SMALL_WALLETS // 3], wallets[SMALL_WALLETS // 2]
    values: dict[str, int | str] = {
        "hot": hot.pk,
        "hot_rows": HOT_ROWS,
        "small_rows": SMALL_ROWS,
        "round": ROUND,
        "amount": AMOUNT,
        "lots": LOTS,
        "sold": json.dumps(sold.base_metadata()),
    }
    with connection.cursor() as cursor:
        # The rows refer to each other as they should, and asking so a million times takes longer than all the rest.
        cursor.execute("SET session_replication_role = replica")
        for statement in FILLING:
            cursor.execute(statement, values)
            # What earlier tests left told the planner that the tables are empty, and it joined them row by row.
            cursor.execute("ANALYZE usage_credits_transaction, usage_credits_lot, usage_credits_hold")
        cursor.execute("SET session_replication_role = origin")
        cursor.execute("VACUUM ANALYZE")
    return Ledger(*Wallet.objects.filter(pk__in=[hot.pk, small.pk]).order_by("pk"))


def empty_ledger() -> None:
    """Take all of it away again, faster than by deleting rows. Commits."""
    tables = [model._meta.db_table for model in apps.get_app_config("usage_credits").get_models()]
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY")
    User.objects.filter(username__startswith="filled ").delete()

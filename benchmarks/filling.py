"""Fill the ledger with a past, by the database itself: a million rows take seconds, and are sound."""

from __future__ import annotations

import datetime

from django.apps import apps
from django.db import connection
from django.utils import timezone

from benchmarks.customers.models import Customer
from usage_credits.models import Wallet

PAST = """
INSERT INTO usage_credits_transaction
    (wallet_id, amount, category, balance_before, balance_after, overdraft, metadata, created_at)
SELECT w.id, 1 - 2 * (n % 2), CASE n % 2 WHEN 0 THEN 'credit_added' ELSE 'credit_deducted' END,
       n % 2, 1 - n % 2, 0, '{}', now() - interval '1 day'
FROM usage_credits_wallet w CROSS JOIN generate_series(0, %s - 1) n
WHERE w.id BETWEEN %s AND %s ORDER BY w.id, n
"""
PAST_LOTS = """
INSERT INTO usage_credits_lot (wallet_id, transaction_id, amount, remaining, is_open, priority)
SELECT wallet_id, id, 1, 0, false, 0 FROM usage_credits_transaction
WHERE wallet_id BETWEEN %s AND %s AND amount > 0 ORDER BY id
"""
PAST_ALLOCATIONS = """
INSERT INTO usage_credits_allocation (wallet_id, debit_id, lot_id, amount)
SELECT t.wallet_id, t.id, l.id, 1
FROM (SELECT wallet_id, id, amount, lag(id) OVER (PARTITION BY wallet_id ORDER BY id) AS credit
      FROM usage_credits_transaction WHERE wallet_id BETWEEN %s AND %s) t
JOIN usage_credits_lot l ON l.transaction_id = t.credit WHERE t.amount < 0
"""
OPEN_ROWS = """
INSERT INTO usage_credits_transaction
    (wallet_id, amount, category, balance_before, balance_after, overdraft, metadata, expires_at, created_at)
SELECT w.id, 10, 'credit_added', w.balance + n * 10, w.balance + n * 10 + 10, 0, '{}', %s, now() - interval '2 days'
FROM usage_credits_wallet w CROSS JOIN generate_series(0, %s - 1) n
WHERE w.id BETWEEN %s AND %s ORDER BY w.id, n
"""
OPEN_LOTS = """
INSERT INTO usage_credits_lot (wallet_id, transaction_id, amount, remaining, is_open, priority, expires_at)
SELECT wallet_id, id, amount, amount, true, 0, expires_at FROM usage_credits_transaction
WHERE wallet_id BETWEEN %s AND %s ORDER BY id
ON CONFLICT DO NOTHING
"""
BALANCES = "UPDATE usage_credits_wallet SET balance = balance + 10 * %s WHERE id BETWEEN %s AND %s"


def make_wallet(*, history: int = 0, lots: int = 5) -> Wallet:
    """Return a wallet after `history` rows, with `lots` open lots that no benchmark uses up."""
    wallet = Customer.objects.create(name="one").wallet()
    add_past(wallet.pk, wallet.pk, history)
    for number in range(lots):
        wallet.credit(10**9, expires_at=timezone.now() + datetime.timedelta(days=30 + number))
    return wallet


def make_wallets(number: int) -> tuple[int, int]:
    """Create `number` owners with wallets, without their signals; return the first and the last wallet's key."""
    model = Wallet(owner=Customer.objects.create(name="first"))
    customers = Customer.objects.bulk_create(Customer(name=f"{index}") for index in range(number))
    wallets = Wallet.objects.bulk_create(
        Wallet(owner_type=model.owner_type, owner_id=str(customer.pk), asset="credits")
        for customer in customers
    )
    return wallets[0].pk, wallets[-1].pk


def add_past(first: int, last: int, rows: int) -> None:
    """Give each empty wallet pairs of a credit of 1 and the debit that used it up, `rows` in all."""
    if rows:
        _run(PAST, rows, first, last)
        _run(PAST_LOTS, first, last)
        analyze()
        _run(PAST_ALLOCATIONS, first, last)
        analyze()


def add_lots(first: int, last: int, lots: int, *, expired: bool = False) -> None:
    """Give each wallet without a past `lots` open lots of 10; `expired` ones wait to be booked."""
    _run(OPEN_ROWS, timezone.now() - datetime.timedelta(days=1) if expired else None, lots, first, last)
    _run(OPEN_LOTS, first, last)
    _run(BALANCES, lots, first, last)
    analyze()


def empty_ledger() -> None:
    """Leave no row in any table of the ledger and of its owners."""
    labels = ("usage_credits", "customers")
    tables = [model._meta.db_table for label in labels for model in apps.get_app_config(label).get_models()]
    _run(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE")


def analyze() -> None:
    """Let the planner know the rows, as a server does by itself within a minute."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _run(sql: str, *values: int | datetime.datetime | None) -> None:
    # Percent signs of SQL's own are doubled here only, so that the statements above can be read and pasted.
    with connection.cursor() as cursor:
        cursor.execute(sql.replace("% 2", "%% 2"), values)

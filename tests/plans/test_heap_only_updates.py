from __future__ import annotations

import pytest
from django.db import connection

from tests.factories import add_lots, make_wallet

pytestmark = pytest.mark.django_db(transaction=True)

WALLETS = 20
DEBITS = 300


def updates_of(table: str) -> tuple[int, int]:
    """Return how many rows of a table were updated so far, and how many of them beside the index."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = %s", [table])
        [(updates, heap_only)] = cursor.fetchall()
    return updates, heap_only


@pytest.mark.parametrize("table", ["usage_credits_wallet", "usage_credits_lot"])
def test_debits_touch_no_index_of_what_they_change(table: str) -> None:
    wallets = [make_wallet() for _ in range(WALLETS)]
    for wallet in wallets:
        add_lots(wallet, 5, amount=100)
    updates, heap_only = updates_of(table)

    for _ in range(DEBITS // WALLETS):
        for wallet in wallets:
            wallet.debit(2)

    more, more_heap_only = updates_of(table)
    assert more - updates == DEBITS
    assert more_heap_only - heap_only >= 0.9 * DEBITS

"""What a transaction that stays open elsewhere costs a hot wallet: what it may still see cannot be cleared away."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
from django.db import connection

from benchmarks.figures import Figure
from benchmarks.filling import make_wallet
from benchmarks.many_processes import PATTERNS
from benchmarks.measuring import Rounds, time_calls


def measure(address: str, *, rounds: int, debits: int) -> Iterator[Figure]:
    """Yield how much longer a debit takes after `debits` of its wallet since another transaction's snapshot."""
    wallet, times = make_wallet(), Rounds()

    def debit() -> None:
        wallet.debit(1)

    for _ in range(rounds):
        times.add("without", time_calls(debit, 100)[0])
        with psycopg.connect(address) as other:
            other.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            other.execute("SELECT FROM usage_credits_wallet")
            time_calls(debit, debits)
            times.add("with", time_calls(debit, 100)[0])
        with connection.cursor() as cursor:
            cursor.execute("VACUUM usage_credits_wallet, usage_credits_lot")
    yield Figure(
        topic=PATTERNS,
        name=f"debit, {debits:,} debits after another transaction's snapshot: time against before",
        value=times.ratio("with", "without"),
        unit="×",
        details=times.medians(),
    )

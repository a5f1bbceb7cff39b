"""The commands that cron runs, each on as much as piles up."""

from __future__ import annotations

import datetime
from collections.abc import Iterator

from django.utils import timezone

from benchmarks.figures import Figure
from benchmarks.filling import add_expired, add_past, make_wallets
from benchmarks.processes import run_commands
from usage_credits.models import Fulfillment, FulfillmentKind, Transaction

MEGABYTES = 150


def measure(*, size: float) -> Iterator[Figure]:
    """Yield rates and memory of the jobs; `size` 1 is that of the budgets."""
    yield from _expire(int(100_000 * size))
    yield from _fulfill(int(50_000 * size))
    yield from _verify(int(1_000_000 * size))


def _expire(lots: int) -> Iterator[Figure]:
    add_expired(*make_wallets(lots // 10), lots=10)
    run = run_commands("expire_credits -v 0")
    assert Transaction.objects.filter(category="expiration").count() == lots
    yield Figure(f"expire_credits, {lots} lots: lots a second", lots / run.seconds, "", at_least=10_000)
    yield Figure("expire_credits: memory in MB", run.megabytes, "", at_most=MEGABYTES)


def _fulfill(number: int) -> Iterator[Figure]:
    for workers in (1, 4):
        wallets = make_wallets(number)
        due = timezone.now() - datetime.timedelta(hours=1)
        Fulfillment.objects.bulk_create(
            Fulfillment(
                wallet_id=wallet,
                kind=FulfillmentKind.MANUAL,
                source="manual",
                source_id=f"{workers}:{wallet}",
                period="P1M",
                anchor=due,
                next_fulfillment_at=due,
                metadata={"credits": 100, "unused_credits": "expire"},
            )
            for wallet in range(wallets[0], wallets[1] + 1)
        )
        before = Transaction.objects.count()
        run = run_commands(*["fulfill_credits -v 0"] * workers)
        assert Transaction.objects.count() - before == number
        at_least = 6_000 if workers == 1 else None
        name = f"fulfill_credits, {number} due, workers: {workers}"
        yield Figure(f"{name}: awards a second", number / run.seconds, "", at_least=at_least)
        yield Figure(f"{name}: memory in MB", run.megabytes, "", at_most=MEGABYTES)


def _verify(rows: int) -> Iterator[Figure]:
    add_past(*make_wallets(rows // 1_000), rows=1_000)
    run = run_commands("verify_credits")
    yield Figure(f"verify_credits, {rows} rows: seconds", run.seconds, "s", at_most=60)
    yield Figure("verify_credits: memory in MB", run.megabytes, "", at_most=MEGABYTES)

"""The commands that cron runs, each on as much as piles up; what starts Python and Django is not measured."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from statistics import median

from django.utils import timezone

from benchmarks.figures import Figure
from benchmarks.filling import add_lots, add_past, analyze, empty_ledger, make_wallet, make_wallets
from benchmarks.floors import open_floor
from benchmarks.measuring import time_calls
from benchmarks.processes import workers
from benchmarks.proofs import prove
from usage_credits.models import Fulfillment, FulfillmentKind, Transaction

TOPIC = "Jobs"
MEGABYTES = 150
SHARING = 4
"""How many workers share the fulfillments that are due."""

V1_OF_BUDGETS = 0.001064
"""The seconds of a debit of V1 on the machine whose rates the budgets were set by."""

CORES = 2
"""What the budget of expiry is for; so many runs share the lots that have expired."""


def expire(*, lots: int, rounds: int) -> Iterator[Figure]:
    """Yield the rate and the memory of `expire_credits`, by one run and by two that share the work."""
    runs: dict[int, list[dict[str, float]]] = {1: [], CORES: []}
    for _ in range(rounds):
        for sharing, found in runs.items():
            empty_ledger()
            add_lots(*make_wallets(lots // 10), lots=10, expired=True)
            found.append(_run("expire_credits -v 0", sharing))
            _expect(Transaction.objects.filter(category="expiration").count(), lots)
            prove("expire_credits")
    name = f"expire_credits, {lots:,} lots"
    yield _rate(f"{name}, {CORES} runs on {CORES} cores: lots a second", lots, runs[CORES], at_least=10_000)
    yield _rate(f"{name}, one run: lots a second", lots, runs[1])
    yield _memory(name, [run for found in runs.values() for run in found])


def fulfill(address: str, *, number: int, rounds: int) -> Iterator[Figure]:
    """Yield the rate and the memory of `fulfill_credits`, by one worker and by four, and how it stands to V1.

    Its budget is so many awards a second of a machine on which a debit of V1 takes `V1_OF_BUDGETS`; of another machine
    it is as many in the time of such a debit, measured before each run.
    """
    runs: dict[int, list[dict[str, float]]] = {1: [], SHARING: []}
    for _ in range(rounds):
        for sharing, found in runs.items():
            empty_ledger()
            floor = _time_floor(address)
            empty_ledger()
            _make_due(number)
            found.append({**_run("fulfill_credits -v 0", sharing), "V1": floor})
            _expect(Transaction.objects.count(), number)
            prove("fulfill_credits")
    name = f"fulfill_credits, {number:,} due"
    yield Figure(
        topic=TOPIC,
        name=f"{name}, one worker: awards in the time of a debit of V1",
        value=median(run["V1"] * number / run["seconds"] for run in runs[1]),
        unit="awards",
        at_least=round(6_000 * V1_OF_BUDGETS, 1),
        details={"V1 in seconds": median(run["V1"] for run in runs[1])},
    )
    yield _rate(f"{name}, one worker: awards a second", number, runs[1])
    yield _rate(f"{name}, {SHARING} workers: awards a second", number, runs[SHARING])
    pairs = zip(runs[1], runs[SHARING], strict=True)
    faster = median(alone["seconds"] / shared["seconds"] for alone, shared in pairs)
    yield Figure(
        topic=TOPIC, name=f"{name}: {SHARING} workers against one", value=faster, unit="×", at_least=1
    )
    yield _memory(name, [run for found in runs.values() for run in found])


def verify(*, rows: int, rounds: int) -> Iterator[Figure]:
    """Yield the time and the memory of `verify_credits`, which itself fails where it finds anything."""
    empty_ledger()
    add_past(*make_wallets(rows // 1_000), rows=1_000)
    runs = [_run("verify_credits") for _ in range(rounds)]
    name = f"verify_credits, {rows:,} transactions"
    seconds = median(run["seconds"] for run in runs)
    yield Figure(topic=TOPIC, name=f"{name}: time", value=seconds, unit="s", at_most=60)
    yield _memory(name, runs)


def _time_floor(address: str) -> float:
    """Return the seconds of a debit of V1, now."""
    floor = open_floor(address, make_wallet().pk)
    with floor.connection:
        time_calls(floor.debit_v1, 50)
        return time_calls(floor.debit_v1, 300)[0] / 1_000_000


def _make_due(number: int) -> None:
    first, last = make_wallets(number)
    due = timezone.now() - datetime.timedelta(hours=1)
    Fulfillment.objects.bulk_create(
        Fulfillment(
            wallet_id=wallet,
            kind=FulfillmentKind.MANUAL,
            source="manual",
            source_id=str(wallet),
            period="P1M",
            anchor=due,
            next_fulfillment_at=due,
            metadata={"credits": 100, "unused_credits": "expire"},
        )
        for wallet in range(first, last + 1)
    )
    analyze()


def _run(command: str, processes: int = 1) -> dict[str, float]:
    with workers(processes) as pool:
        pool.ask_all("ready")
        runs = pool.ask_all("command", command)
    return {
        "seconds": max(run["seconds"] for run in runs),
        "cpu": sum(run["cpu"] for run in runs),
        "megabytes": max(run["megabytes"] for run in runs),
    }


def _expect(found: int, number: int) -> None:
    if found != number:
        raise SystemExit(f"{number} rows were to be written, and {found} are.")


def _rate(name: str, number: int, runs: list[dict[str, float]], *, at_least: float | None = None) -> Figure:
    seconds = median(run["seconds"] for run in runs)
    return Figure(
        topic=TOPIC,
        name=name,
        value=number / seconds,
        unit="/s",
        at_least=at_least,
        details={"seconds": seconds, "client CPU seconds": median(run["cpu"] for run in runs)},
    )


def _memory(name: str, runs: list[dict[str, float]]) -> Figure:
    most = max(run["megabytes"] for run in runs)
    # Not a matter of time, but of how much there is to do; a quick run does little.
    return Figure(topic=TOPIC, name=f"{name}: memory", value=most, unit="MB", at_most=MEGABYTES)

"""Debits of stapel-billing beside ours, in turns, on the same server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.figures import Figure
from benchmarks.filling import make_wallet
from benchmarks.measuring import Rounds
from benchmarks.peer.environment import NotInstalled, environment
from benchmarks.processes import Workers, workers
from benchmarks.server import Server

TOPIC = "A peer on the same server, in turns"
PROCESSES, LOTS = 8, 500


def measure(server: Server, *, rounds: int, seconds: float, history: int) -> Iterator[Figure]:
    """Yield our debits against those of the peer; where it cannot be installed, that."""
    try:
        with environment() as python, server.database("peer") as address:
            settings = {"DATABASE_URL": address, "DJANGO_SETTINGS_MODULE": "benchmarks.peer.settings"}
            options: dict[str, Any] = {"python": python, "environment": settings}
            with (
                workers(PROCESSES, "benchmarks.peer.worker", **options) as theirs,
                workers(PROCESSES) as ours,
            ):
                theirs.ask("migrate")
                yield from _compare(ours, theirs, rounds=rounds, seconds=seconds, history=history)
    except NotInstalled as reason:
        yield Figure(topic=TOPIC, name="debit", value=None, note=f"not installed: {reason}")


def _compare(
    ours: Workers, theirs: Workers, *, rounds: int, seconds: float, history: int
) -> Iterator[Figure]:
    users = [_make_user(theirs, lots=5, rows=rows) for rows in (0, history)]
    wallets = [make_wallet(history=rows).pk for rows in (0, history)]
    after = f"after {history:,} rows"
    work = {
        "debit": ("debit", 0, 1),
        "debit with a key": ("debit with a key", 0, 1),
        f"debit {after}": ("debit", 1, 1),
        f"debit with a key {after}": ("debit with a key", 1, 1),
        f"{PROCESSES} processes, one wallet: debit": ("debit", 0, PROCESSES),
    }
    rates = Rounds()
    for _ in range(rounds):
        for name, (target, place, processes) in work.items():
            for whose, pool, keys in (("ours", ours, wallets), ("theirs", theirs, users)):
                arguments = [keys[place]] * processes
                rates.add(f"{whose}: {name}", pool.rate(target, arguments, seconds=seconds))
    version = f"stapel-billing {theirs.ask('version')}"
    for name in work:
        own, other = rates.median(f"ours: {name}"), rates.median(f"theirs: {name}")
        yield _figure(
            f"{name}: ours against {version}",
            rates.ratio(f"ours: {name}", f"theirs: {name}"),
            "×",
            ours=own,
            theirs=other,
        )
        yield _figure(f"{name}: {version}", other, "/s")
    one, many = users[0], _make_user(theirs, lots=LOTS, rows=0)
    yield _figure(f"statements of a debit: {version}", theirs.ask("statements", [one, 1]))
    yield _figure(
        f"statements of a debit that takes {LOTS} lots: {version}", theirs.ask("statements", [many, LOTS])
    )


def _make_user(theirs: Workers, *, lots: int, rows: int) -> str:
    amount = 1 if lots == LOTS else 10**6
    return str(theirs.ask("make user", {"lots": lots, "amount": amount, "history": rows}))


def _figure(name: str, value: float, unit: str = "", **details: float) -> Figure:
    return Figure(topic=TOPIC, name=name, value=value, unit=unit, is_timed=bool(unit), details=details)

"""Many processes on one wallet, and on a wallet each, beside the floors; and what makes a hot wallet faster."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.figures import Figure
from benchmarks.filling import make_wallet
from benchmarks.floors import make_balance
from benchmarks.measuring import Rounds
from benchmarks.processes import workers

TOPIC, PATTERNS = "Processes at once", "Patterns for a hot wallet"
PROCESSES = 8


def measure(address: str, *, rounds: int, seconds: float) -> Iterator[Figure]:
    """Yield the debits a second of the product against those of V1, and those of each pattern."""
    work = {
        "V0, one wallet": ("V0", _hot()),
        "V1, one wallet": ("V1", _hot()),
        "V1, prepared, one wallet": ("V1, prepared", _hot()),
        "debit, one wallet": ("debit", _hot()),
        "fast, one wallet": ("debit, fast settings", _hot()),
        "batches": ("debit_many", _hot()),
        "captures": ("captures", _hot()),
        "V1, a wallet each": ("V1", [make_wallet().pk for _ in range(PROCESSES)]),
        "debit, a wallet each": ("debit", [make_wallet().pk for _ in range(PROCESSES)]),
    }
    make_balance(address, work["V0, one wallet"][1][0])
    rates = Rounds()
    with workers(PROCESSES) as pool:
        for _ in range(rounds):
            for name, (target, arguments) in work.items():
                rates.add(name, pool.rate(target, arguments, seconds=seconds))
    yield from _against_floors(rates)
    yield from _patterns(rates)


def _hot() -> list[int]:
    """Return one new wallet for all processes: none pays for the dead rows that other work leaves of its wallet."""
    return [make_wallet().pk] * PROCESSES


def _against_floors(rates: Rounds) -> Iterator[Figure]:
    for name, floor, at_least in (
        ("fast, one wallet", "V1, one wallet", 0.9),
        ("debit, one wallet", "V1, one wallet", None),
        ("fast, one wallet", "V1, prepared, one wallet", None),
        ("debit, a wallet each", "V1, a wallet each", None),
    ):
        words = name.replace("fast,", "debit, fast settings,")
        yield Figure(
            topic=TOPIC,
            name=f"{PROCESSES} processes: {words}, against {floor.rpartition(',')[0]}",
            value=rates.ratio(name, floor),
            unit="×",
            at_least=at_least,
            details=rates.medians(),
        )
    for name in ("V1, one wallet", "debit, one wallet", "V1, a wallet each", "debit, a wallet each"):
        yield Figure(topic=TOPIC, name=f"{PROCESSES} processes: {name}", value=rates.median(name), unit="/s")


def _patterns(rates: Rounds) -> Iterator[Figure]:
    for name, words in (
        ("debit, one wallet", "single debits"),
        ("captures", "holds for 100 uses, each captured in 4 steps"),
        ("batches", "debit_many, 100 at a time"),
    ):
        what = f"{PROCESSES} processes on one wallet, {words}: uses a second"
        yield Figure(topic=PATTERNS, name=what, value=rates.median(name), unit="/s")

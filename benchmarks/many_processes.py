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
    floors = [make_wallet().pk for _ in range(PROCESSES)]
    make_balance(address, floors[0])
    wallets = [make_wallet().pk for _ in range(PROCESSES)]
    hot_floor, hot = floors[:1] * PROCESSES, wallets[:1] * PROCESSES
    work = {
        "V0, one wallet": ("V0", hot_floor),
        "V1, one wallet": ("V1", hot_floor),
        "V1, prepared, one wallet": ("V1, prepared", hot_floor),
        "debit, one wallet": ("debit", hot),
        "fast, one wallet": ("debit, fast settings", hot),
        "batches": ("debit_many", hot),
        "captures": ("captures", hot),
        "V1, a wallet each": ("V1", floors),
        "debit, a wallet each": ("debit", wallets),
    }
    rates = Rounds()
    with workers(PROCESSES) as pool:
        for _ in range(rounds):
            for name, (target, arguments) in work.items():
                rates.add(name, pool.rate(target, arguments, seconds=seconds))
    yield from _against_floors(rates)
    yield from _patterns(rates)


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

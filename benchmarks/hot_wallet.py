"""Many processes on one wallet, and on a wallet each, beside the floors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from statistics import median

from benchmarks.figures import Figure
from benchmarks.filling import make_wallet
from benchmarks.floors import open_floor
from benchmarks.processes import rate

PROCESSES = 8


def measure(address: str, *, rounds: int, seconds: float) -> Iterator[Figure]:
    """Yield the debits a second of the product against those of V1."""
    floors = [open_floor(address).wallet for _ in range(PROCESSES)]
    wallets = [make_wallet().pk for _ in range(PROCESSES)]
    rates: defaultdict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for target, owned in (("V0", floors), ("V1", floors), ("debit", wallets)):
            rates[f"{target}, one wallet"].append(rate(target, owned[:1] * PROCESSES, seconds=seconds))
            rates[f"{target}, a wallet each"].append(rate(target, owned, seconds=seconds))
    medians = {name: median(found) for name, found in rates.items()}
    for place, least in (("one wallet", 0.9), ("a wallet each", None)):
        yield Figure(
            f"{PROCESSES} processes on {place}: debits a second against V1",
            medians[f"debit, {place}"] / medians[f"V1, {place}"],
            "×",
            at_least=least,
            details=medians,
        )

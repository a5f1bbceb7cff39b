"""`debit_many` beside single debits."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.counting import count_statements
from benchmarks.figures import Figure
from benchmarks.filling import make_wallet
from benchmarks.measuring import take_turns

TOPIC = "Batches"
ITEMS = 100


def measure(*, rounds: int) -> Iterator[Figure]:
    """Yield how many more debits a second a batch makes, and its statements."""
    single, batched = make_wallet(), make_wallet()
    items = [1] * ITEMS

    def debit_five() -> None:
        for _ in range(5):
            single.debit(1)

    def debit_batch(size: int = ITEMS) -> None:
        batched.debit_many(items[:size])

    clock, _cpu = take_turns({"five": debit_five, "batch": debit_batch}, rounds=rounds, calls_a_round=1)
    yield Figure(
        topic=TOPIC,
        name=f"debit_many, {ITEMS} at a time: debits a second against single ones",
        value=clock.ratio("five", "batch") * ITEMS / 5,
        unit="×",
        at_least=20,
    )
    yield Figure(
        topic=TOPIC,
        name=f"debit_many: debits a second, {ITEMS} at a time",
        value=ITEMS / clock.median("batch") * 1_000_000,
        unit="/s",
    )
    one, many = count_statements(lambda: debit_batch(1)), count_statements(debit_batch)
    yield Figure(
        topic=TOPIC,
        name=f"debit_many: statements for {ITEMS} against those for one",
        value=many / one,
        unit="×",
        at_most=1,
        is_timed=False,
        details={"one": one, "many": many},
    )

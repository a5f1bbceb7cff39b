"""`debit_many` beside single debits."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.figures import Figure
from benchmarks.filling import make_wallet
from benchmarks.measuring import count_statements, take_turns

ITEMS = 100


def measure(*, rounds: int) -> Iterator[Figure]:
    """Yield how many more debits a second a batch makes, and its statements."""
    single, batched = make_wallet(), make_wallet()
    items = [1] * ITEMS
    times = take_turns(
        {
            "debit": lambda: [single.debit(1) for _ in range(5)],
            "debit_many": lambda: batched.debit_many(items),
        },
        rounds=rounds,
        calls_a_round=1,
    )
    ratio = (times["debit"] / 5) / (times["debit_many"] / ITEMS)
    yield Figure(
        f"debit_many, {ITEMS} at a time: debits a second against single ones", ratio, "×", at_least=20
    )
    one, many = (
        count_statements(lambda number=number: batched.debit_many([1] * number)) for number in (1, ITEMS)
    )
    yield Figure(
        f"debit_many: statements for {ITEMS} items more than for one",
        many - one,
        "",
        at_most=0,
        is_timed=False,
    )

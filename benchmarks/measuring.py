"""Time calls side by side.

Machines are noisy, so no time of its own says anything: what is compared takes turns within one run, a few calls at a
time, and only the ratios of the medians count.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from itertools import cycle
from statistics import median

Call = Callable[[], object]


def take_turns(calls: Mapping[str, Call], *, rounds: int, calls_a_round: int = 10) -> dict[str, float]:
    """Return the median of each call's time in microseconds; each round measures all of them, in turning order."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for call in calls.values():
        call()
    gc.collect()
    gc.disable()
    try:
        for first, _round in zip(cycle(range(len(names))), range(rounds), strict=False):
            for name in names[first:] + names[:first]:
                times[name].append(_time(calls[name], calls_a_round))
    finally:
        gc.enable()
    return {name: median(found) for name, found in times.items()}


def _time(call: Call, repeats: int) -> float:
    started = time.perf_counter_ns()
    for _ in range(repeats):
        call()
    return (time.perf_counter_ns() - started) / repeats / 1_000


def count_statements(call: Call) -> int:
    """Return how many statements the call sends, BEGIN and COMMIT included."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as captured:
        call()
    return len(captured)

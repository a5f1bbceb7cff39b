"""Time calls side by side.

Machines are noisy, so no time of its own says anything: what is compared takes turns within one run, a few calls at a
time, and what counts is the median of the rounds' own ratios.
"""

from __future__ import annotations

import gc
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from statistics import median

Action = Callable[[], object]


class Rounds:
    """One measure of several things, taken in rounds."""

    def __init__(self) -> None:
        """Start without any."""
        self._found: defaultdict[str, list[float]] = defaultdict(list)

    def add(self, name: str, value: float) -> None:
        """Note the value of this round."""
        self._found[name].append(value)

    def median(self, name: str) -> float:
        """Return the median of all rounds."""
        return median(self._found[name])

    def ratio(self, over: str, under: str) -> float:
        """Return the median of the rounds' ratios: what slows a whole round down leaves it as it is."""
        pairs = zip(self._found[over], self._found[under], strict=True)
        return median(one / other for one, other in pairs)

    def medians(self) -> dict[str, float]:
        """Return the median of each, by name."""
        return {name: median(values) for name, values in self._found.items()}


def take_turns(
    actions: Mapping[str, Action], *, rounds: int, calls_a_round: int = 5
) -> tuple[Rounds, Rounds]:
    """Return each action's microseconds and those of CPU; each round measures all of them, in turning order."""
    names, clock, cpu = list(actions), Rounds(), Rounds()
    for action in actions.values():
        action()
    gc.collect()
    gc.disable()
    try:
        for number in range(rounds):
            first = number % len(names)
            for name in names[first:] + names[:first]:
                elapsed, busy = time_calls(actions[name], calls_a_round)
                clock.add(name, elapsed)
                cpu.add(name, busy)
    finally:
        gc.enable()
    return clock, cpu


def time_calls(action: Action, repeats: int) -> tuple[float, float]:
    """Return the microseconds of one call of `repeats`, and those of this process's CPU."""
    started, busy = time.perf_counter_ns(), time.process_time_ns()
    for _ in range(repeats):
        action()
    ended, busy_at_end = time.perf_counter_ns(), time.process_time_ns()
    return (ended - started) / repeats / 1_000, (busy_at_end - busy) / repeats / 1_000

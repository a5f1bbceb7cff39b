"""What the processes of a benchmark talk: lines of JSON. It knows neither Django nor what is measured."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

Target = Callable[[], int]
"""Does what is measured and returns how many times."""


def serve(
    targets: Mapping[str, Callable[[Any], Target]], answers: Mapping[str, Callable[[Any], Any]]
) -> None:
    """Do what each line asks for until there are no more.

    `[name, argument, seconds]` gets a target ready, says so, waits for a line, repeats it until the time is over and
    tells how often that was. `[name, argument]` tells what the answer of that name returns.
    """
    ready: dict[tuple[str, Any], Target] = {}
    for line in sys.stdin:
        name, argument, *seconds = json.loads(line)
        if not seconds:
            _tell(answers[name](argument))
            continue
        if (name, argument) not in ready:
            ready[name, argument] = targets[name](argument)
            ready[name, argument]()
        _tell("ready")
        sys.stdin.readline()
        _tell(_repeat(ready[name, argument], seconds[0]))


def _repeat(target: Target, seconds: float) -> float:
    done, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        done += target()
    return done / elapsed


def _tell(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()

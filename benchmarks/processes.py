"""Work done by several processes at once, each with connections of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


class Workers:
    """Processes that wait for what they are told to do; see `benchmarks.serving`."""

    def __init__(self, processes: Sequence[subprocess.Popen[str]]) -> None:
        """Take processes that serve."""
        self._processes = processes

    def ask(self, name: str, argument: Any = None) -> Any:
        """Return the first worker's answer."""
        return self.ask_all(name, argument, number=1)[0]

    def ask_all(self, name: str, argument: Any = None, *, number: int | None = None) -> list[Any]:
        """Return the answers of the first `number` workers, asked at once."""
        asked = self._processes[:number]
        for process in asked:
            _send(process, [name, argument])
        return [_receive(process) for process in asked]

    def rate(self, target: str, arguments: Sequence[Any], *, seconds: float) -> float:
        """Return how often a second `target` is done by a worker for each argument, all at once."""
        used = self._processes[: len(arguments)]
        for process, argument in zip(used, arguments, strict=True):
            _send(process, [target, argument, seconds])
        for process in used:
            _receive(process)
        for process in used:
            _send(process, "go")
        return float(sum(_receive(process) for process in used))


@contextmanager
def workers(
    number: int,
    module: str = "benchmarks.workers",
    *,
    python: str = sys.executable,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Workers]:
    """Yield `number` processes that run `module`; end them."""
    started = [
        subprocess.Popen(
            [python, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
        )
        for _ in range(number)
    ]
    try:
        yield Workers(started)
    finally:
        for process in started:
            process.communicate()


def _send(process: subprocess.Popen[str], words: object) -> None:
    assert process.stdin
    process.stdin.write(json.dumps(words) + "\n")
    process.stdin.flush()


def _receive(process: subprocess.Popen[str]) -> Any:
    assert process.stdout
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"{process.args!r} ended; what it said is above.")
    return json.loads(line)

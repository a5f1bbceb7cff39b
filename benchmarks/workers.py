"""What the processes of a benchmark can do: `python -m benchmarks.workers`, told by `benchmarks.processes`."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
import psycopg

django.setup()

from django.core.management import call_command  # noqa: E402 - these need the apps
from django.db import connection  # noqa: E402

from benchmarks.floors import Floor  # noqa: E402
from benchmarks.serving import Target, serve  # noqa: E402
from usage_credits.models import Wallet  # noqa: E402

ITEMS = 100
"""How many uses a batch, or a hold, is for."""
CAPTURES = 4


def _once(call: Callable[[], object]) -> Target:
    def once() -> int:
        call()
        return 1

    return once


def _floor(pk: int) -> Floor:
    return Floor(psycopg.connect(os.environ["DATABASE_URL"], autocommit=True), pk)


def _debit(pk: int, using: str = "default") -> Target:
    wallet = Wallet.objects.using(using).get(pk=pk)
    return _once(lambda: wallet.debit(1))


def _debit_with_key(pk: int) -> Target:
    wallet = Wallet.objects.get(pk=pk)
    return _once(lambda: wallet.debit(1, idempotency_key=f"{os.getpid()}:{time.perf_counter_ns()}"))


def _debit_many(pk: int) -> Target:
    wallet = Wallet.objects.get(pk=pk)
    return lambda: len(wallet.debit_many([1] * ITEMS))


def _captures(pk: int) -> Target:
    # Each part stands for the uses counted meanwhile; the hold makes sure that they can be paid.
    wallet = Wallet.objects.get(pk=pk)

    def hold_and_capture() -> int:
        hold = wallet.hold(ITEMS)
        for _ in range(CAPTURES):
            hold.capture(ITEMS // CAPTURES)
        return ITEMS

    return hold_and_capture


def _command(line: str) -> dict[str, float]:
    # The connection is closed before, so that each job pays for its own, but nothing that starts Python does.
    connection.close()
    started, busy = time.perf_counter(), time.process_time()
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        call_command(*line.split(), stdout=nowhere)
    return {
        "seconds": time.perf_counter() - started,
        "cpu": time.process_time() - busy,
        "megabytes": _most_memory(),
    }


def _most_memory() -> float:
    # What getrusage tells of a child starts at what its parent had.
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


TARGETS: dict[str, Callable[[Any], Target]] = {
    "V0": lambda pk: _once(_floor(pk).debit_v0),
    "V1": lambda pk: _once(_floor(pk).debit_v1),
    "debit": _debit,
    "debit, fast settings": lambda pk: _debit(pk, "fast"),
    "debit with a key": _debit_with_key,
    "debit_many": _debit_many,
    "captures": _captures,
}

if __name__ == "__main__":
    serve(TARGETS, {"command": _command, "ready": lambda _: True})

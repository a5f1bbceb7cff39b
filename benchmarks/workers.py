"""What the processes of a benchmark do until their time is over."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable

import psycopg

from benchmarks.floors import Floor
from usage_credits.models import Wallet


def main() -> None:
    """Get ready, wait for the word, call until the time is over, and print how often that was."""
    target, wallet, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    call = TARGETS[target](wallet)
    call()
    print("ready", flush=True)
    sys.stdin.readline()
    calls, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        call()
        calls += 1
    print(json.dumps(calls))


def _debit(pk: int) -> Callable[[], object]:
    wallet = Wallet.objects.get(pk=pk)
    return lambda: wallet.debit(1)


def _floor(pk: int) -> Floor:
    return Floor(psycopg.connect(os.environ["DATABASE_URL"], autocommit=True), pk)


TARGETS: dict[str, Callable[[int], Callable[[], object]]] = {
    "debit": _debit,
    "V1": lambda pk: _floor(pk).debit_v1,
    "V0": lambda pk: _floor(pk).debit_v0,
}

"""Work done by several processes at once, each with connections of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass

WORKER = "import django; django.setup(); from benchmarks.workers import main; main()"


def rate(target: str, wallets: list[int], *, seconds: float) -> float:
    """Return the calls a second of `target`, a function of `benchmarks.workers`, by a process for each wallet given."""
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, target, str(wallet), str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for wallet in wallets
    ]
    for worker in workers:
        assert worker.stdout and worker.stdout.readline() == "ready\n", "a worker did not start; see above"
    for worker in workers:
        assert worker.stdin
        worker.stdin.write("go\n")
        worker.stdin.flush()
    calls = sum(json.loads(worker.communicate()[0]) for worker in workers)
    return calls / seconds


@dataclass(frozen=True)
class Run:
    """How long a command took and the most memory it had, in megabytes."""

    seconds: float
    megabytes: float


def run_commands(*commands: str) -> Run:
    """Run management commands at once, each in a process of its own, until the last has ended."""
    started = time.perf_counter()
    running = [
        subprocess.Popen([sys.executable, "-m", "django", *command.split()], stdout=subprocess.DEVNULL)
        for command in commands
    ]
    most = 0.0
    for process in running:
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"{process.args} ended with {process.returncode}")
        most = max(most, usage.ru_maxrss / 1024)
    return Run(time.perf_counter() - started, most)

"""Run functions in processes of their own, or over connections of their own, all starting at once."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from django.db import connections

from tests.databases import child_environment

CHILD = """
import pickle, sys
import django
django.setup()
from tests.concurrency.processes import run_child
run_child()
"""


def run_together(target: str, arguments: Sequence[tuple[Any, ...]], timeout: float = 120) -> list[Any]:
    """Call `target` ("module:function") in one process for each tuple of arguments; return what each call did.

    The processes load Django first and wait for each other, so that the calls fall together. A call that raises is
    answered by its exception, a process that died by a ChildProcessError.
    """
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**child_environment(), "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"]},
        )
        for _ in arguments
    ]
    try:
        for child in children:
            assert child.stdout
            assert child.stdout.readline() == b"ready\n", (
                "a child process did not start; see its output above"
            )
        for child, values in zip(children, arguments, strict=True):
            assert child.stdin
            pickle.dump((target, values), child.stdin)
            child.stdin.close()
            child.stdin = None
        return [_answer(child, timeout) for child in children]
    finally:
        for child in children:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe:
                    pipe.close()


def _answer(child: subprocess.Popen[bytes], timeout: float) -> Any:
    answer, _ = child.communicate(timeout=timeout)
    return pickle.loads(answer) if answer else ChildProcessError(f"ended with {child.returncode}")


def run_child() -> None:
    """Answer the parent: say ready, wait for the work, do it, write what came of it."""
    answer, sys.stdout = sys.stdout.buffer, sys.stderr
    for alias in connections:
        connections[alias].ensure_connection()
    answer.write(b"ready\n")
    answer.flush()
    target, values = pickle.load(sys.stdin.buffer)
    module, _, name = target.partition(":")
    try:
        outcome = getattr(import_module(module), name)(*values)
    except Exception as error:
        outcome = error
    pickle.dump(outcome, answer)
    answer.flush()


def run_in_threads(count: int, call: Callable[[int], Any]) -> list[Any]:
    """Call `call(0)` … `call(count - 1)` in threads with a connection each, released together by a barrier."""
    barrier = threading.Barrier(count)
    outcomes: list[Any] = [None] * count

    def run(number: int) -> None:
        try:
            connections["default"].ensure_connection()
            barrier.wait(timeout=60)
            outcomes[number] = call(number)
        except Exception as error:
            outcomes[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes

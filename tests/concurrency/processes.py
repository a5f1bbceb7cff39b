"""Run functions in processes of their own, or over connections of their own, all starting at once."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any
from unittest.mock import patch

from django.db import connections

from tests.concurrency.children import work
from tests.databases import child_environment


@cache
def _loaded() -> ForkServerContext:
    """Return where children are forked from: a process that has loaded Django and has no connection.

    Each process that loads it for itself takes as long as what most tests do with it.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.concurrency.children"])
    with patch.dict(os.environ, child_environment()):
        forkserver.ensure_running()
    return context


def run_together(target: str, arguments: Sequence[tuple[Any, ...]], timeout: float = 120) -> list[Any]:
    """Call `target` ("module:function") in one process for each tuple of arguments; return what each call did.

    The processes connect first and wait for each other, so that the calls fall together. A call that raises is
    answered by its exception, a process that died by a ChildProcessError.
    """
    with _children(target, arguments) as children:
        for _, pipe in children:
            assert pipe.poll(timeout), "a child process did not start; see its output above"
            assert pipe.recv() == "ready"
        for _, pipe in children:
            pipe.send("go")
        return [_answer(child, pipe, timeout) for child, pipe in children]


@contextmanager
def _children(
    target: str, arguments: Sequence[tuple[Any, ...]]
) -> Iterator[list[tuple[ForkServerProcess, Connection]]]:
    children = []
    try:
        for values in arguments:
            pipe, theirs = multiprocessing.Pipe()
            child = _loaded().Process(target=work, args=(theirs, target, values))
            child.start()
            theirs.close()
            children.append((child, pipe))
        yield children
    finally:
        for child, pipe in children:
            child.kill()
            child.join()
            child.close()
            pipe.close()


def _answer(child: ForkServerProcess, pipe: Connection, timeout: float) -> Any:
    assert pipe.poll(timeout), f"{child.name} has not answered in {timeout} seconds"
    try:
        return pipe.recv()
    except EOFError:
        child.join()
        return ChildProcessError(f"ended with {child.exitcode}")


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

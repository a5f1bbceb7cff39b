"""Collect the lifecycle events that a piece of code leads to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import connections
from django.test import TestCase

from usage_credits import signals
from usage_credits.signals import EventContext


@contextmanager
def capture_events() -> Iterator[list[EventContext]]:
    """Run what waits for the commit when the block ends, and yield the list of the events' contexts, in order.

    In a TestCase, whose transaction never commits, the list fills when the block ends; otherwise at each commit.
    Receivers and CALLBACKS run as usual. Every database is covered.
    """
    captured: list[EventContext] = []

    def capture(context: EventContext, **kwargs: Any) -> None:
        captured.append(context)

    for signal in signals.ALL.values():
        signal.connect(capture, weak=False)
    try:
        with ExitStack() as blocks:
            for alias in connections:
                blocks.enter_context(TestCase.captureOnCommitCallbacks(using=alias, execute=True))
            yield captured
    finally:
        for signal in signals.ALL.values():
            signal.disconnect(capture)

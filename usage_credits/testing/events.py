"""Collect the lifecycle events that a piece of code leads to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, overload

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


class CapturedEvents(Sequence[EventContext]):
    """The contexts of the events so far, in order; get one from the fixture `credit_events`.

    Reading it in any way runs what waits for the commit first, so that a test whose transaction never commits finds
    what it has just led to. What was not read when the test ends runs then.
    """

    def __init__(self) -> None:
        self._events: list[EventContext] = []
        self._blocks = ExitStack()
        self._open()

    @property
    def names(self) -> list[str]:
        """Return the name of each event, such as "credits_added"."""
        return [context.event for context in self._read()]

    def clear(self) -> None:
        """Forget the events so far."""
        self._read().clear()

    def close(self) -> None:
        """Capture nothing any more."""
        self._blocks.close()

    def _open(self) -> None:
        self._block = self._blocks.enter_context(capture_events())

    def _read(self) -> list[EventContext]:
        self._blocks.close()
        self._events += self._block
        self._open()
        return self._events

    @overload
    def __getitem__(self, index: int) -> EventContext: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[EventContext]: ...

    def __getitem__(self, index: int | slice) -> EventContext | Sequence[EventContext]:
        return self._read()[index]

    def __len__(self) -> int:
        return len(self._read())

    def __iter__(self) -> Iterator[EventContext]:
        return iter(list(self._read()))

    def __repr__(self) -> str:
        return f"<events: {', '.join(self.names) or 'none'}>"

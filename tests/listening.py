"""Hear the app's events in a test whose transaction never commits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.test import TestCase

from usage_credits import signals
from usage_credits.signals import EventContext


@contextmanager
def events_heard() -> Iterator[list[EventContext]]:
    """Yield the list of the contexts sent within the block; what waits for the commit is sent at its end."""
    heard: list[EventContext] = []

    def listen(sender: Any, context: EventContext, **kwargs: Any) -> None:
        heard.append(context)

    for signal in signals.ALL.values():
        signal.connect(listen)
    try:
        with TestCase.captureOnCommitCallbacks(execute=True):
            yield heard
    finally:
        for signal in signals.ALL.values():
            signal.disconnect(listen)


def names(heard: list[EventContext]) -> list[str]:
    return [context.event for context in heard]

"""Show how far a command has come, on a terminal only."""

from __future__ import annotations

import time
from types import TracebackType

from django.core.management.base import OutputWrapper

WIDTH = 30
SECONDS_BETWEEN_DRAWINGS = 0.1


class Progress:
    """A bar on the last line of a terminal, removed at the end; silent where output goes elsewhere.

    Where nobody knows the total (None) it counts instead.

    Use as a context: `with Progress(self.stderr, total, verbosity) as progress: progress.advance(5)`.
    """

    def __init__(self, stream: OutputWrapper, total: int | None, verbosity: int) -> None:
        self._stream = stream
        self._total = total
        self._done = 0
        self._drawn_at = 0.0
        self._is_shown = total != 0 and verbosity > 0 and stream.isatty()

    def advance(self, steps: int = 1) -> None:
        """Count `steps` more as done."""
        self._done += steps
        now = time.monotonic()
        if self._is_shown and now - self._drawn_at >= SECONDS_BETWEEN_DRAWINGS:
            self._drawn_at = now
            self._draw()

    def clear(self) -> None:
        """Remove the bar, so that a line can be written in its place."""
        if self._is_shown:
            self._put("\r\x1b[K")

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()

    def _draw(self) -> None:
        if self._total is None:
            self._put(f"\r… {self._done}\x1b[K")
            return
        share = min(self._done / self._total, 1)
        bar = ("█" * round(WIDTH * share)).ljust(WIDTH, "·")
        self._put(f"\r{bar} {share:4.0%} {self._done}/{self._total}\x1b[K")

    def _put(self, text: str) -> None:
        self._stream.write(text, style_func=str, ending="")
        self._stream.flush()

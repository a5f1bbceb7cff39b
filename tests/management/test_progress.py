from __future__ import annotations

from io import StringIO

import pytest
from django.core.management.base import OutputWrapper

from usage_credits.management.progress import Progress


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def shown_on(stream: StringIO, *, total: int | None = 4, verbosity: int = 1) -> str:
    with Progress(OutputWrapper(stream), total, verbosity) as progress:
        progress.advance()
    return stream.getvalue()


def test_progress_draws_a_bar_on_a_terminal_and_removes_it() -> None:
    shown = shown_on(Terminal())
    assert "25% 1/4" in shown
    assert shown.endswith("\r\x1b[K")


def test_progress_counts_where_the_total_is_unknown() -> None:
    assert "\r… 1" in shown_on(Terminal(), total=None)


@pytest.mark.parametrize(
    ("stream", "total", "verbosity"),
    [(StringIO(), 4, 1), (Terminal(), 4, 0), (Terminal(), 0, 1)],
    ids=["not a terminal", "verbosity 0", "nothing to do"],
)
def test_progress_stays_silent_where_nobody_looks(stream: StringIO, total: int, verbosity: int) -> None:
    assert shown_on(stream, total=total, verbosity=verbosity) == ""


def test_progress_is_drawn_at_most_every_tenth_of_a_second() -> None:
    terminal = Terminal()
    with Progress(OutputWrapper(terminal), 1000, 1) as progress:
        for _ in range(1000):
            progress.advance()
    assert terminal.getvalue().count("\r") < 50

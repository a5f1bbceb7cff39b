"""The figures as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from benchmarks.figures import Call, Figure


def table(
    machine: Mapping[str, str], figures: Iterable[Figure], calls: Iterable[Call], proved: Iterable[str]
) -> str:
    """Return the figures by topic beside their budgets, what each call costs, and where that was."""
    parts = []
    for topic, found in groupby(figures, key=lambda figure: figure.topic):
        rows = [(figure.name, figure.measured, figure.budget, figure.verdict()) for figure in found]
        parts.append(_table((topic, "Measured", "Budget", ""), rows))
    timed = [
        (call.name, f"{call.microseconds:,.0f}", f"{call.cpu_microseconds:,.0f}", str(call.statements))
        for call in calls
    ]
    parts.append(_table(("One call, medians", "µs", "of these µs of client CPU", "Statements"), timed))
    parts.append(_table(("Where and when", ""), machine.items()))
    parts.append(f"`verify_credits` found the ledger sound after: {', '.join(proved)}.\n")
    return "\n".join(parts)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    # What is measured is left, figures are right.
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (heads, rule, *rows))

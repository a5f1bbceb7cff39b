"""The figures that have a budget, drawn as bars: how many times better than the budget each of them is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape

from benchmarks.figures import Figure

WIDTH, LABELS, ROW, TOP = 960, 420, 22, 44
LEAST, MOST = 0.25, 32.0
"""The ends of the logarithmic scale; what lies beyond is drawn up to them."""
COLOURS = {"ok": "#2e7d5b", "MISSED": "#b3413a"}


def plot(figures: Iterable[Figure]) -> str:
    """Return an SVG with a bar for each figure that has a budget; one left of the line at 1 missed it."""
    rows = [(figure, figure.margin) for figure in figures if figure.margin is not None]
    height = TOP + ROW * len(rows) + 12
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{LABELS}" y="16" fill="#333333">times better than the budget (logarithmic)</text>',
    ]
    for mark in (0.25, 0.5, 1, 2, 4, 8, 16, 32):
        parts.append(_mark(mark, height))
    for number, (figure, margin) in enumerate(rows):
        parts.extend(_bar(figure, margin, TOP + ROW * number))
    return "\n".join((*parts, "</svg>", ""))


def _place(margin: float) -> float:
    share = math.log(min(max(margin, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return round(LABELS + share * (WIDTH - LABELS - 60), 1)


def _mark(margin: float, height: int) -> str:
    x = _place(margin)
    colour, width = ("#333333", 1.5) if margin == 1 else ("#dddddd", 1)
    return (
        f'<line x1="{x}" y1="{TOP - 6}" x2="{x}" y2="{height - 8}" stroke="{colour}" stroke-width="{width}"/>'
        f'<text x="{x}" y="{TOP - 12}" text-anchor="middle" fill="#666666">{margin:g}</text>'
    )


def _bar(figure: Figure, margin: float, y: int) -> tuple[str, str, str]:
    x, budget = _place(margin), _place(1)
    start, length = min(x, budget), max(abs(x - budget), 2)
    title = escape(f"{figure.name}: {figure.measured}, {figure.budget}")
    return (
        f'<text x="{LABELS - 8}" y="{y + 14}" text-anchor="end" fill="#333333">{escape(figure.name)}</text>',
        f'<rect x="{start}" y="{y + 4}" width="{length:.1f}" height="{ROW - 8}" '
        f'fill="{COLOURS[figure.verdict()]}"><title>{title}</title></rect>',
        f'<text x="{max(x, budget) + 5:.1f}" y="{y + 14}" fill="#333333">{escape(figure.measured)}</text>',
    )

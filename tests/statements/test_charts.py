from __future__ import annotations

import datetime

import pytest
from django.template.loader import render_to_string
from django.utils import translation

from usage_credits.ledger.balance_history import DayBalance
from usage_credits.statements.charts import BalanceChart, balance_chart

FIRST = datetime.date(2026, 1, 1)


def chart(*balances: int) -> BalanceChart:
    days = [FIRST + datetime.timedelta(days=number) for number in range(len(balances))]
    return balance_chart([DayBalance(*pair) for pair in zip(days, balances, strict=True)])


def levels(drawn: BalanceChart) -> list[str]:
    return [level.text for level in drawn.levels]


def test_chart_steps_from_day_to_day_between_round_levels() -> None:
    drawn = chart(0, 100, 100, 40)
    assert levels(drawn) == ["0", "50", "100"]
    assert drawn.line == "M0.0 88.0H33.33V10.0H66.67V10.0H100.0V56.8H100"
    assert drawn.area == drawn.line + "V88.0H0.0Z"
    assert (drawn.lowest, drawn.highest) == (0, 100)


@pytest.mark.parametrize(
    ("balances", "expected"),
    [
        ((0,), ["0", "1"]),
        ((7,), ["0", "2", "4", "6", "8"]),
        ((3, -4), ["-4", "-2", "0", "2", "4"]),
        ((-50,), ["-60", "-40", "-20", "0", "20"]),
        ((1_234_567,), ["0", "500000", "1000000", "1500000"]),
    ],
)
def test_chart_always_has_zero_and_room_for_all(balances: tuple[int, ...], expected: list[str]) -> None:
    assert levels(chart(*balances)) == expected


def test_chart_names_its_first_and_last_day_and_some_between() -> None:
    drawn = chart(*[5] * 31)
    assert [(tick.text, tick.anchor) for tick in drawn.dates] == [
        ("January 1", "start"),
        ("January 11", "middle"),
        ("January 21", "middle"),
        ("January 31", "end"),
    ]
    assert [tick.text for tick in chart(5).dates] == ["January 1"]
    with translation.override("es"):
        assert [tick.text for tick in chart(5, 5).dates] == ["1 de enero", "2 de enero"]


def test_chart_is_drawn_as_svg_with_its_figures_beside_it() -> None:
    with translation.override("de"):
        page = render_to_string("usage_credits/_balance_chart.html", {"chart": chart(0, 1_234, 40)})
    assert '<line class="usage-credits-chart-level" x2="100%" y1="88.0%" y2="88.0%"/>' in page
    assert '<text x="0.0%" y="100%" dy="-6" text-anchor="start">1. Januar</text>' in page
    assert "now 40, lowest 0, highest 1234." in page
    assert page.index("3. Januar 2026") < page.index("1. Januar 2026</th>")

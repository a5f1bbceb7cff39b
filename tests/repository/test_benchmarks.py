from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.figures import Figure
from benchmarks.measuring import Rounds
from benchmarks.plot import plot
from benchmarks.results import PLOT, TABLE, read_results

DOCS = Path(__file__).parents[2] / "docs"
FOLDER = DOCS / "reference/benchmarks"
RESULTS = read_results(FOLDER)

BUDGETS = [
    ("debit, fast settings: throughput against V1", "at least 0.8 ×"),
    ("spend, fast settings: throughput against V1", "at least 0.8 ×"),
    ("credit, fast settings: throughput against V1", "at least 0.8 ×"),
    ("debit after 100,000 rows: time against none", "at most 1.2 ×"),
    ("debit after 100,000 rows: rows read against none", "at most 1.2 ×"),
    ("debit: statements in the worst case", "at most 8"),
    ("debit with a key: statements in the worst case", "at most 9"),
    ("debit_many, 100 at a time: statements", "at most 8"),
    ("8 processes: debit, fast settings, one wallet, against V1", "at least 0.9 ×"),
    ("debit_many, 100 at a time: debits a second against single ones", "at least 20 ×"),
    ("expire_credits, 100,000 lots, 2 runs on 2 cores: lots a second", "at least 10,000/s"),
    ("expire_credits, 100,000 lots: memory", "at most 150 MB"),
    ("fulfill_credits, 50,000 due, one worker: awards in the time of a debit of V1", "at least 6.4 awards"),
    ("fulfill_credits, 50,000 due: 4 workers against one", "at least 1 ×"),
    ("verify_credits, 1,000,000 transactions: time", "at most 60 s"),
    ("verify_credits, 1,000,000 transactions: memory", "at most 150 MB"),
    ("reading owner.credits: statements", "at most 1"),
]


@pytest.mark.parametrize("name", [TABLE, PLOT])
def test_docs_show_what_was_measured(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == RESULTS.rendered()[name]
    assert f"benchmarks/{name}" in (DOCS / "reference/performance.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("name", "budget"), BUDGETS)
def test_measure_every_budget(name: str, budget: str) -> None:
    (figure,) = [figure for figure in RESULTS.figures if figure.name == name]
    assert figure.budget == budget
    assert figure.verdict() in {"ok", "MISSED"}


def test_measure_the_peer_too() -> None:
    rates = [figure.value for figure in RESULTS.figures if "ours against stapel-billing 0.24" in figure.name]
    assert rates
    assert all(rates)


@pytest.mark.parametrize(
    ("value", "at_least", "at_most", "verdict"),
    [
        (0.79, 0.8, None, "MISSED"),
        (0.8, 0.8, None, "ok"),
        (9, None, 8, "MISSED"),
        (8, None, 8, "ok"),
        (0, 0.8, None, "MISSED"),
        (8, None, None, ""),
        (None, 0.8, None, ""),
    ],
)
def test_judge_by_the_budget(
    value: float | None, at_least: float | None, at_most: float | None, verdict: str
) -> None:
    counted = Figure(
        topic="", name="", value=value, at_least=at_least, at_most=at_most, note="none", is_timed=False
    )
    assert counted.verdict() == counted.verdict(quick=True) == verdict


def test_quick_run_judges_no_time() -> None:
    timed = Figure(topic="", name="", value=2, at_most=1)
    assert timed.verdict() == "MISSED"
    assert timed.verdict(quick=True) == ""


def test_ratio_leaves_out_what_slows_a_whole_round() -> None:
    rounds = Rounds()
    for slowness in (1, 50, 3):
        rounds.add("ours", 2 * slowness)
        rounds.add("floor", slowness)
    assert rounds.ratio("ours", "floor") == 2


def test_plot_has_a_bar_for_each_budget() -> None:
    svg = ElementTree.fromstring(plot(RESULTS.figures))
    titles = [title.text for title in svg.iter("{http://www.w3.org/2000/svg}title")]
    judged = [figure for figure in RESULTS.figures if figure.verdict()]
    assert titles == [f"{figure.name}: {figure.measured}, {figure.budget}" for figure in judged]


def test_docs_name_the_settings_that_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://localhost/none")
    measured = importlib.import_module("benchmarks.settings").FAST
    page = (DOCS / "how-to/scale.md").read_text(encoding="utf-8")
    (documented,) = re.findall(r'^DATABASES\["default"\]\["OPTIONS"\] = (\{.*\})$', page, re.MULTILINE)
    assert ast.literal_eval(documented) == measured

"""The results of a run, as they are written to a file and read from it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.figures import Call, Figure
from benchmarks.plot import plot
from benchmarks.table import table

JSON, TABLE, PLOT = "results.json", "table.md", "plot.svg"


@dataclass
class Results:
    """The figures of one run, the machine they are of, and the benchmarks after which the ledger was proved."""

    machine: dict[str, str]
    figures: list[Figure] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    proved: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Write the figures as JSON, and the table and the plot that are made of them."""
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"
        for name, content in ((JSON, text), *self.rendered().items()):
            (folder / name).write_text(content, encoding="utf-8")

    def rendered(self) -> dict[str, str]:
        """Return what the documentation shows of the figures, by file name."""
        return {
            TABLE: table(self.machine, self.figures, self.calls, self.proved),
            PLOT: plot(self.figures),
        }


def read_results(folder: Path) -> Results:
    """Read what `write` wrote."""
    stored = json.loads((folder / JSON).read_text(encoding="utf-8"))
    return Results(
        machine=stored["machine"],
        figures=[Figure(**figure) for figure in stored["figures"]],
        calls=[Call(**call) for call in stored["calls"]],
        proved=stored["proved"],
    )

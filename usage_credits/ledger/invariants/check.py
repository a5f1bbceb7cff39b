"""What a check of the ledger is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """A query whose every row breaks `invariant`; `problem` is a format string for its figures."""

    invariant: str
    table: str
    problem: str
    sql: str

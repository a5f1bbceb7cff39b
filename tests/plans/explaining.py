"""How PostgreSQL carries out the statements that a call really sends."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import connection

VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE", "(SELECT", "WITH")
PREFIX = "usage_credits_"
HASH = re.compile(r"_[0-9a-f]{8}$")


@dataclass(frozen=True)
class Scan:
    """One reading of a table in a plan."""

    kind: str
    """As EXPLAIN names it: Seq Scan, Index Scan, Bitmap Heap Scan …"""
    table: str
    indexes: tuple[str, ...]
    rows: int
    """How many rows it looked at in all its loops, those that a filter then dropped among them."""

    def __str__(self) -> str:
        return f"{self.kind} on {self.table} by {', '.join(self.indexes) or 'nothing'}: {self.rows} rows"


@dataclass(frozen=True)
class Statement:
    """A statement and what it took."""

    sql: str
    scans: tuple[Scan, ...]
    pages: int
    """How many pages of tables and indexes it touched, a page as often as it was asked for."""
    sorted_rows: int
    """How many rows it sorted."""

    def __str__(self) -> str:
        took = [f"{self.pages} pages", f"{self.sorted_rows} rows sorted", *map(str, self.scans)]
        return "\n  ".join([self.sql, *took])


@contextmanager
def explained() -> Iterator[list[Statement]]:
    """Yield a list that gets each statement on our tables which is sent inside the block, with its plan.

    Each is explained by running it, at its turn and with its own values, and undoing that before it is sent.
    """
    statements: list[Statement] = []

    def explain(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lstrip().startswith(VERBS) and PREFIX in sql:
            statements.append(_explain(sql, params))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explain):
        yield statements


def short_name(index: str) -> str:
    """Return an index's name without the app's prefix and the hash that Django puts behind names of its own."""
    return HASH.sub("", index.removeprefix(PREFIX))


def indexes_of(statements: Iterable[Statement]) -> set[str]:
    """Return the short names of all indexes by which the statements read."""
    return {index for statement in statements for scan in statement.scans for index in scan.indexes}


def _explain(sql: str, params: Any) -> Statement:
    with connection.connection.cursor() as cursor:
        cursor.execute("SAVEPOINT explained")
        cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", params)
        [(answer,)] = cursor.fetchall()
        cursor.execute("ROLLBACK TO explained")
    plan = answer[0]["Plan"]
    nodes = list(_nodes(plan))
    return Statement(
        sql,
        tuple(_scan(node) for node in nodes if "Scan" in node["Node Type"] and "Relation Name" in node),
        plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
        sum(_rows(node) for node in nodes if "Sort" in node["Node Type"]),
    )


def _scan(node: dict[str, Any]) -> Scan:
    below = [node, *(child for child in _nodes(node) if child["Node Type"] == "Bitmap Index Scan")]
    return Scan(
        node["Node Type"],
        node["Relation Name"],
        tuple(short_name(child["Index Name"]) for child in below if "Index Name" in child),
        max(_rows(child) for child in below),
    )


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _rows(node: dict[str, Any]) -> int:
    seen = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")
    rows: float = sum(node.get(name, 0) for name in seen) * node["Actual Loops"]
    return round(rows)

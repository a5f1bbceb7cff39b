"""The condition that a key is one of many."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BooleanField, Func
from django.db.models.sql.compiler import SQLCompiler

from usage_credits.ledger.dialects import array_literal


class Among(Func):
    """`column__in=keys` for whole numbers: one array where the database takes one.

    Some hundred keys that are checked, listed and quoted one by one take longer than it takes to find their rows.
    """

    output_field = BooleanField()

    def __init__(self, column: str, keys: Iterable[int]) -> None:
        """Take the name of a column of primary keys, and the keys."""
        super().__init__(column)
        self._keys = list(keys)

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, *args: Any, **context: Any
    ) -> Any:
        column, parameters = compiler.compile(self.source_expressions[0])
        if connection.vendor == "postgresql":
            return f"{column} = ANY(%s::bigint[])", [*parameters, array_literal(self._keys)]
        marks = ", ".join(["%s"] * len(self._keys))
        return f"{column} IN ({marks or 'NULL'})", [*parameters, *self._keys]

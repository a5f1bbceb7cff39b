"""Querysets that are compiled to SQL once per database and then run with other values.

Two thirds of a debit's time would otherwise go into building the same few queries again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models import Expression
from django.db.models.sql.compiler import SQLCompiler

from usage_credits.ledger import instances
from usage_credits.ledger.dialects import Conversion, conversion, preparation, read_moments_quickly

Row = TypeVar("Row", bound=models.Model)


class Slot(Expression):
    """The place of a value in a compiled query, filled in whenever that runs."""

    def __init__(self, index: int, field: models.Field[Any, Any]) -> None:
        """Take the value that is given at `index`, stored as `field` stores it."""
        super().__init__(output_field=field)
        self.index = index

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper) -> Any:
        return "%s", [self]


MOST_REMEMBERED = 16
"""A query with more values than this is compiled each time: it is rare, and what it is compiled to is long."""


class _Plan(NamedTuple):
    sql: str
    parameters: Sequence[tuple[int | None, Any]]
    """The place of a value among those given, and what prepares it, if anything; or None and a value of its own."""
    model: type[models.Model]
    columns: list[str]
    """What the values of a row are: first the model's columns, then annotations."""
    converters: list[tuple[int, Conversion]]
    """What makes the instance's value of the database's one at a place of the row."""


class CompiledQuery(Generic[Row]):
    """A query for whole rows of one model; `build(using, *slots)` makes its queryset.

    There is one plan for each database and each number of values, so that a query may take a list; those of short
    lists are kept.
    """

    def __init__(self, build: Callable[..., models.QuerySet[Row]], *fields: models.Field[Any, Any]) -> None:
        """Take what the values are, in order; the last of `fields` counts for all that follow."""
        self._build = build
        self._fields = fields
        self._plan = lru_cache(maxsize=64)(self._compile)

    def __call__(self, cursor: CursorWrapper, *values: Any) -> list[Row]:
        """Return the rows for `values`, read by Django's `cursor`."""
        plan = self._plan if len(values) <= MOST_REMEMBERED else self._compile
        return _read(plan(cursor.db.alias, len(values)), cursor, values)

    def _compile(self, using: str, values: int) -> _Plan:
        slots = [Slot(index, self._fields[min(index, len(self._fields) - 1)]) for index in range(values)]
        return _plan_of(self._build(using, *slots))


def fetch(rows: models.QuerySet[Row], cursor: CursorWrapper) -> list[Row]:
    """Return whole rows as a compiled query does, for a query whose SQL is worth no keeping."""
    return _read(_plan_of(rows.using(cursor.db.alias)), cursor, ())


def fetch_values(rows: models.QuerySet[Any, Any], cursor: CursorWrapper) -> list[Sequence[Any]]:
    """Return what a `values_list` query finds, read as `fetch` reads."""
    try:
        plan = _plan_of(rows.using(cursor.db.alias))
    except EmptyResultSet:  # a slice of none
        return []
    return _values(plan, cursor, ())


def _plan_of(rows: models.QuerySet[Any]) -> _Plan:
    compiler = rows.query.get_compiler(rows.db)
    sql, parameters = compiler.as_sql()
    selected = [column for column, _sql, _alias in compiler.select]
    fields = compiler.klass_info["select_fields"] if compiler.klass_info else ()
    columns = [selected[place].target.attname for place in fields]
    columns += compiler.annotation_col_map or ()
    found = compiler.get_converters(selected)
    converters = [(place, conversion(calls, column)) for place, (calls, column) in found.items()]
    filled = [
        (one.index, preparation(one.output_field, compiler.connection))
        if isinstance(one, Slot)
        else (None, one)
        for one in parameters
    ]
    return _Plan(sql, filled, rows.model, columns, converters)


def _read(plan: _Plan, cursor: CursorWrapper, values: Sequence[Any]) -> list[Any]:
    using = cursor.db.alias
    return [instances.read(plan.model, plan.columns, row, using) for row in _values(plan, cursor, values)]


def _values(plan: _Plan, cursor: CursorWrapper, values: Sequence[Any]) -> list[Sequence[Any]]:
    connection = cursor.db
    parameters = [
        one if index is None else values[index] if one is None else one(values[index], connection)
        for index, one in plan.parameters
    ]
    read_moments_quickly(cursor)
    cursor.execute(plan.sql, parameters)
    found: list[Sequence[Any]] = list(cursor.fetchall())  # MariaDB's is a tuple
    for place, convert in plan.converters:
        for number, row in enumerate(found):
            if row[place] is not None:
                found[number] = converted = list(row)
                converted[place] = convert(row[place], connection)
    return found

"""Querysets that are compiled to SQL once per database and then run with other values.

Two thirds of a debit's time would otherwise go into building the same few queries again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Generic, NamedTuple, TypeVar

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Expression
from django.db.models.sql.compiler import SQLCompiler

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
"""A query with more values than this is compiled each time: it is rare, and its SQL is long."""


class _Plan(NamedTuple):
    sql: str
    parameters: tuple[Any, ...]
    model: type[models.Model]
    columns: list[str]
    annotations: dict[str, int]
    converters: list[tuple[int, list[Callable[..., Any]], Any]]


class CompiledQuery(Generic[Row]):
    """A query for whole rows of one model; `build(using, *slots)` makes its queryset.

    There is one plan for each database and each number of values, so that a query may take a list.
    """

    def __init__(self, build: Callable[..., models.QuerySet[Row]], *fields: models.Field[Any, Any]) -> None:
        """Take what the values are, in order; the last of `fields` counts for all that follow."""
        self._build = build
        self._fields = fields
        self._plan = lru_cache(maxsize=64)(self._compile)

    def __call__(self, using: str, *values: Any) -> list[Row]:
        """Return the rows of the database `using` for `values`."""
        find = self._plan if len(values) <= MOST_REMEMBERED else self._compile
        plan = find(using, len(values))
        connection = connections[using]
        parameters = [
            one.output_field.get_db_prep_value(values[one.index], connection)
            if isinstance(one, Slot)
            else one
            for one in plan.parameters
        ]
        with connection.cursor() as cursor:
            cursor.execute(plan.sql, parameters)
            found: Sequence[Sequence[Any]] = cursor.fetchall()
        if plan.converters:
            found = [_convert(row, plan.converters, connection) for row in found]
        return [_instance(plan, row, using) for row in found]

    def _compile(self, using: str, values: int) -> _Plan:
        slots = [Slot(index, self._fields[min(index, len(self._fields) - 1)]) for index in range(values)]
        rows = self._build(using, *slots)
        compiler = rows.query.get_compiler(using)
        sql, parameters = compiler.as_sql()
        selected = [column for column, _sql, _alias in compiler.select]
        columns = [selected[place].target.attname for place in compiler.klass_info["select_fields"]]
        found = compiler.get_converters(selected)
        converters = [(place, calls, column) for place, (calls, column) in found.items()]
        return _Plan(
            sql, tuple(parameters), rows.model, columns, compiler.annotation_col_map or {}, converters
        )


def _instance(plan: _Plan, row: Sequence[Any], using: str) -> Any:
    instance = plan.model.from_db(using, plan.columns, row[: len(plan.columns)])
    for name, place in plan.annotations.items():
        setattr(instance, name, row[place])
    return instance


def _convert(
    row: Sequence[Any],
    converters: list[tuple[int, list[Callable[..., Any]], Any]],
    connection: BaseDatabaseWrapper,
) -> list[Any]:
    values = list(row)
    for place, calls, column in converters:
        for call in calls:
            values[place] = call(values[place], column, connection)
    return values

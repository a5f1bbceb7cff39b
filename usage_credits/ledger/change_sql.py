"""How changes are spelled in SQL, and in which order their parameters go."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from usage_credits.ledger.dialects import array_literal, stores_at_once

MOST_REMEMBERED = 16
"""The SQL of more rows than this is built each time: it is long, and seldom the same."""


class Column(NamedTuple):
    """A column of a change: its name, its type, and the change of the same statement whose new keys it may hold."""

    name: str
    type: str
    refers_to: int | None = None
    is_array: bool = False


class Shape(NamedTuple):
    """All that the SQL of a change depends on."""

    table: str
    is_insert: bool
    columns: tuple[Column, ...]
    rows: int
    """How many; 2 stands for more where the database takes an array for each column."""


def shape_of(
    table: str,
    columns: Sequence[tuple[Column, Sequence[Any]]],
    keys: Sequence[int] | None,
    rows: int,
    connection: BaseDatabaseWrapper,
) -> tuple[Shape, list[Any]]:
    """Return the shape of a change and its parameters; `keys` are those of the rows to update, None for an insert."""
    names = tuple(column for column, _values in columns)
    if rows == 1:
        # A single row is found by its key, which comes last.
        parameters = [values[0] for _column, values in columns] + list(keys or ())
        return Shape(table, keys is None, names, 1), parameters
    if stores_at_once(connection):
        return _shape_of_arrays(table, columns, keys)
    by_row = zip(*([] if keys is None else [keys]), *(values for _column, values in columns), strict=True)
    return Shape(table, keys is None, names, rows), [value for row in by_row for value in row]


def _shape_of_arrays(
    table: str, columns: Sequence[tuple[Column, Sequence[Any]]], keys: Sequence[int] | None
) -> tuple[Shape, list[Any]]:
    """A column whose values are all the same goes as one; the others are joined by their places."""
    single: list[Any] = []
    arrays: list[Any] = [] if keys is None else [array_literal(keys)]
    found = []
    for column, values in columns:
        # An insert needs one array at least, to have as many rows.
        is_array = values.count(values[0]) < len(values) or (
            keys is None and column is columns[-1][0] and not arrays
        )
        found.append(column._replace(is_array=is_array))
        if is_array:
            arrays.append(array_literal(values))
        else:
            single.append(values[0])
    return Shape(table, keys is None, tuple(found), 2), [*single, *arrays]


def sql_of(shapes: tuple[Shape, ...], connection: BaseDatabaseWrapper) -> str:
    """Return the statement that stores changes of these shapes: one, or where the database takes it several.

    The rows that it inserts are returned as the number of their change and their primary key.
    """
    if all(shape.rows <= MOST_REMEMBERED for shape in shapes):
        return _remembered(shapes, connection.alias)
    return _sql_of(shapes, connection)


@lru_cache(maxsize=512)
def _remembered(shapes: tuple[Shape, ...], using: str) -> str:
    return _sql_of(shapes, connections[using])


def _sql_of(shapes: tuple[Shape, ...], connection: BaseDatabaseWrapper) -> str:
    statements = [
        _insert(shape, number, connection) if shape.is_insert else _update(shape, connection)
        for number, shape in enumerate(shapes)
    ]
    if len(statements) == 1:
        return statements[0]
    parts = [f"change{number} AS ({statement})" for number, statement in enumerate(statements)]
    keys = [f"SELECT * FROM change{number}" for number, shape in enumerate(shapes) if shape.is_insert]  # noqa: S608
    return f"WITH {', '.join(parts)} {' UNION ALL '.join(keys) or 'SELECT 1'}"


def _insert(shape: Shape, number: int, connection: BaseDatabaseWrapper) -> str:
    quote = connection.ops.quote_name
    names = ", ".join(quote(column.name) for column in shape.columns)
    if shape.rows == 1:
        marks = ("%s" if column.refers_to is None else _new_key(column, "%s") for column in shape.columns)
        rows = f"VALUES ({', '.join(marks)})"
    elif stores_at_once(connection):
        values = ", ".join(_value(column) for column in shape.columns)
        rows = f"SELECT {values} FROM {_arrays(shape.columns)}"  # noqa: S608 - names come from the models
    else:
        row = f"({', '.join(['%s'] * len(shape.columns))})"
        rows = f"VALUES {', '.join([row] * shape.rows)}"
    return f"INSERT INTO {quote(shape.table)} ({names}) {rows} RETURNING {number}, id"


def _update(shape: Shape, connection: BaseDatabaseWrapper) -> str:
    quote = connection.ops.quote_name
    table, names = quote(shape.table), [quote(column.name) for column in shape.columns]
    if shape.rows == 1:
        return f"UPDATE {table} SET {', '.join(f'{name} = %s' for name in names)} WHERE id = %s"  # noqa: S608
    # The new values are joined as a table: an expression of a CASE for each row would take each row through them all.
    if stores_at_once(connection):
        settings = ", ".join(f"{quote(column.name)} = {_value(column)}" for column in shape.columns)
        source = _arrays([Column("key", "bigint", is_array=True), *shape.columns])
        return f"UPDATE {table} SET {settings} FROM {source} WHERE {table}.id = new.key"  # noqa: S608
    marks = f"({', '.join(['%s'] * (1 + len(names)))})"
    values = f"VALUES {', '.join([marks] * shape.rows)}"
    if connection.vendor == "mysql":
        values = f"WITH new (id, {', '.join(names)}) AS ({values}) SELECT * FROM new"  # noqa: S608
        settings = ", ".join(f"{table}.{name} = new.{name}" for name in names)
        # The values first: a walk through the table would lock the rows of others on its way.
        rows = f"{table} FORCE INDEX (PRIMARY) ON {table}.id = new.id"
        return f"UPDATE ({values}) AS new STRAIGHT_JOIN {rows} SET {settings}"  # noqa: S608
    settings = ", ".join(f"{name} = new.column{place}" for place, name in enumerate(names, start=2))
    return f"UPDATE {table} SET {settings} FROM ({values}) AS new WHERE {table}.id = new.column1"  # noqa: S608


def _arrays(columns: Sequence[Column]) -> str:
    arrays = [column for column in columns if column.is_array]
    names = ", ".join(f'"{column.name}"' for column in arrays)
    return f"unnest({', '.join(f'%s::{column.type}[]' for column in arrays)}) AS new ({names})"


def _value(column: Column) -> str:
    if not column.is_array:
        return f"%s::{column.type}" if column.refers_to is None else _new_key(column, "%s::integer")
    value = f'new."{column.name}"'
    if column.refers_to is None:
        return value
    return f"CASE WHEN {value} < 0 THEN {_new_key(column, value)} ELSE {value} END"


def _new_key(column: Column, place: str) -> str:
    """Return a key out of those that another change inserts, given in order; `place` counts from -1 down."""
    return f"(ARRAY(SELECT id FROM change{column.refers_to} ORDER BY id))[-{place}]"  # noqa: S608

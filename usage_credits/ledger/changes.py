"""What a posting stores: rows to insert and columns to update, by statements whose number does not grow with them.

Where the database takes it, a few changes go in one statement: what keeps a wallet locked is mostly the way to the
database and back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

from usage_credits.ledger import dialects

MOST_AT_ONCE = 24
"""More rows than these are stored change by change: their size outweighs the way there and back."""


@dataclass(frozen=True)
class Insert:
    """Rows of one model; they get their primary keys, and what refers to one of them by instance gets that key."""

    rows: Sequence[models.Model]
    is_needed: ClassVar[bool] = True


@dataclass(frozen=True)
class Update:
    """Rows of one model, each once, and the names of the columns to store."""

    rows: Sequence[models.Model]
    names: tuple[str, ...]

    @property
    def is_needed(self) -> bool:
        return bool(self.names)


def store(changes: Iterable[Insert | Update], using: str) -> None:
    """Store the changes in order, inside a transaction; an insert may refer to rows of those before it.

    `bulk_create` and `bulk_update` do so in batches of a few dozen rows on SQLite, and from an expression for each
    value, which takes longer than all the rest of a posting.
    """
    changes = [change for change in changes if change.rows and change.is_needed]
    connection = connections[using]
    if (
        dialects.stores_at_once(connection)
        and 1 < sum(len(change.rows) for change in changes) <= MOST_AT_ONCE
    ):
        _Statement(changes, connection).execute()
        return
    for change in changes:
        size = dialects.MAX_PARAMETERS // (1 + len(_columns(type(change.rows[0]), connection)))
        for start in range(0, len(change.rows), size):
            part = change.rows[start : start + size]
            _Statement(
                [Insert(part) if isinstance(change, Insert) else Update(part, change.names)], connection
            ).execute()


class _Reference(NamedTuple):
    """Stands for the primary key that a row of an earlier change of the same statement will get."""

    change: int
    row: int
    of_rows: int


class _Shape(NamedTuple):
    """All that the SQL of a change depends on."""

    model: type[models.Model]
    is_insert: bool
    columns: tuple[str, ...]
    rows: int
    references: tuple[tuple[int, _Reference], ...] = ()
    """By the place of the value among those of all rows."""


class _Column(NamedTuple):
    name: str
    attname: str
    column: str
    is_relation: bool
    prepare: Callable[..., Any] | None
    """What makes the database's value; None where that is the instance's."""


class _Statement:
    """One or more changes on their way to the database."""

    def __init__(self, changes: Sequence[Insert | Update], connection: BaseDatabaseWrapper) -> None:
        self._changes = changes
        self._connection = connection
        self._parameters: list[Any] = []
        self._pending: dict[int, _Reference] = {}
        self._referring: list[tuple[models.Model, _Column]] = []

    def execute(self) -> None:
        """Send the statement, and give inserted rows their primary keys."""
        shapes = tuple(
            self._insert(number, change.rows) if isinstance(change, Insert) else self._update(change)
            for number, change in enumerate(self._changes)
        )
        with self._connection.cursor() as cursor:
            cursor.execute(_sql(shapes, self._connection), self._parameters)
            found = cursor.fetchall() if any(shape.is_insert for shape in shapes) else []
        for number, change in enumerate(self._changes):
            if isinstance(change, Insert):
                keys = sorted(key for place, key in found if place == number)
                for row, key in zip(change.rows, keys, strict=True):
                    row.pk = key
                    row._state.adding = False
                    row._state.db = self._connection.alias
        for row, column in self._referring:
            setattr(row, column.attname, row._state.fields_cache[column.name].pk)

    def _update(self, change: Update) -> _Shape:
        size = len(change.rows)
        columns = [
            column
            for column in _columns(type(change.rows[0]), self._connection)
            if column.name in change.names
        ]
        for row in change.rows:
            values = [self._prepared(vars(row)[column.attname], column) for column in columns]
            # A single row is found by its key, which comes last then; many are joined to their values.
            self._parameters += [*values, row.pk] if size == 1 else [row.pk, *values]
        return _Shape(type(change.rows[0]), False, tuple(column.column for column in columns), size)

    def _insert(self, number: int, rows: Sequence[models.Model]) -> _Shape:
        model, references = type(rows[0]), []
        columns = [column for column in _columns(model, self._connection) if _is_set(column, rows)]
        for place, (row, column) in enumerate((row, column) for row in rows for column in columns):
            value = vars(row)[column.attname]
            if value is None and column.is_relation and (related := row._state.fields_cache.get(column.name)):
                value = related.pk
                self._referring.append((row, column))
                if value is None:
                    references.append((place, self._pending[id(related)]))
                    continue
            self._parameters.append(self._prepared(value, column))
        for index, row in enumerate(rows):
            self._pending[id(row)] = _Reference(number, index, len(rows))
        return _Shape(model, True, tuple(column.column for column in columns), len(rows), tuple(references))

    def _prepared(self, value: Any, column: _Column) -> Any:
        return column.prepare(value, self._connection) if column.prepare else value


def _is_set(column: _Column, rows: Sequence[models.Model]) -> bool:
    """Tell whether any row has a value for the column; one that none has is left out, and so NULL."""
    for row in rows:
        if vars(row)[column.attname] is not None or (
            column.is_relation and row._state.fields_cache.get(column.name) is not None
        ):
            return True
    return False


def _columns(model: type[models.Model], connection: BaseDatabaseWrapper) -> list[_Column]:
    return _columns_on(model, connection.alias)


@lru_cache
def _columns_on(model: type[models.Model], using: str) -> list[_Column]:
    as_they_are = dialects.as_they_are(connections[using])
    return [
        _Column(
            field.name,
            field.attname,
            str(field.column),
            field.is_relation,
            None if type(field) in as_they_are else field.get_db_prep_save,
        )
        for field in model._meta.local_concrete_fields
        if not field.primary_key
    ]


def _sql(shapes: tuple[_Shape, ...], connection: BaseDatabaseWrapper) -> str:
    return _sql_on(shapes, connection.alias)


@lru_cache(maxsize=512)
def _sql_on(shapes: tuple[_Shape, ...], using: str) -> str:
    connection = connections[using]
    statements = [
        _insert_sql(shape, number, connection) if shape.is_insert else _update_sql(shape, connection)
        for number, shape in enumerate(shapes)
    ]
    if len(statements) == 1:
        return statements[0]
    parts = [f"change{number} AS ({statement})" for number, statement in enumerate(statements)]
    keys = [f"SELECT * FROM change{number}" for number, shape in enumerate(shapes) if shape.is_insert]  # noqa: S608
    return f"WITH {', '.join(parts)} {' UNION ALL '.join(keys) or 'SELECT 1'}"


def _insert_sql(shape: _Shape, number: int, connection: BaseDatabaseWrapper) -> str:
    quote = connection.ops.quote_name
    references, width = dict(shape.references), len(shape.columns)
    marks = [
        _key_of(references[place]) if place in references else "%s" for place in range(width * shape.rows)
    ]
    rows = [f"({', '.join(marks[at : at + width])})" for at in range(0, len(marks), width)]
    return (
        f"INSERT INTO {quote(shape.model._meta.db_table)} "  # noqa: S608 - names come from the model
        f"({', '.join(map(quote, shape.columns))}) VALUES {', '.join(rows)} RETURNING {number}, id"
    )


def _key_of(reference: _Reference) -> str:
    """Return the key of a row, out of those inserted with it, which got theirs in their order."""
    if reference.of_rows == 1:
        return f"(SELECT id FROM change{reference.change})"  # noqa: S608
    return f"(SELECT (array_agg(id ORDER BY id))[{reference.row + 1}] FROM change{reference.change})"  # noqa: S608


def _update_sql(shape: _Shape, connection: BaseDatabaseWrapper) -> str:
    quote = connection.ops.quote_name
    if shape.rows > 1:
        fields = [field for field in shape.model._meta.local_concrete_fields if field.column in shape.columns]
        return dialects.update_sql(connection, quote(shape.model._meta.db_table), fields, shape.rows)
    settings = ", ".join(f"{quote(column)} = %s" for column in shape.columns)
    return f"UPDATE {quote(shape.model._meta.db_table)} SET {settings} WHERE id = %s"  # noqa: S608

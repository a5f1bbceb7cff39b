"""What a posting stores: rows to insert and columns to update, by statements whose number does not grow with them.

PostgreSQL takes all changes of a posting in one statement: what keeps a wallet locked is mostly the way to the
database and back. `bulk_create` and `bulk_update` would store rows in batches of a few dozen on SQLite, and build an
expression for each value, which takes longer than all the rest of a posting.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from usage_credits.ledger import dialects
from usage_credits.ledger.change_sql import Column, Shape, shape_of, sql_of
from usage_credits.ledger.instances import mark_stored


class Insert(NamedTuple):
    """Rows of one model; they get their primary keys, and what refers to one of them by instance gets that key."""

    rows: Sequence[models.Model]


class Update(NamedTuple):
    """Rows of one model, each once, and the names of the columns to store."""

    rows: Sequence[models.Model]
    names: Sequence[str]


def store(changes: Iterable[Insert | Update], cursor: CursorWrapper) -> None:
    """Store the changes in order, inside a transaction; an insert may refer to rows of those before it."""
    needed = [change for change in changes if change.rows]
    if not needed:
        return
    if dialects.stores_at_once(cursor.db):
        _Statement(needed, cursor).execute()
        return
    for change in needed:
        for part in _parts(change, cursor.db):
            _Statement([part], cursor).execute()


def _parts(change: Insert | Update, connection: BaseDatabaseWrapper) -> list[Insert | Update]:
    size = dialects.MAX_PARAMETERS // (1 + len(_table_of(change.rows[0], connection).fields))
    batches = [change.rows[start : start + size] for start in range(0, len(change.rows), size)]
    return [Insert(rows) if isinstance(change, Insert) else Update(rows, change.names) for rows in batches]


Prepare = Callable[[Any, BaseDatabaseWrapper], Any]
"""What makes the database's value of an instance's one."""


class _Field(NamedTuple):
    attname: str
    name: str
    is_relation: bool
    column: Column
    prepare: Prepare | None


class _Table(NamedTuple):
    name: str
    fields: dict[str, _Field]
    """By name, all but the primary key."""
    values_of: Callable[[dict[str, Any]], tuple[Any, ...]]
    """Gets an instance's attributes, and returns those of the fields."""


class _Statement:
    """One change, or several at once, on the way to the database."""

    def __init__(self, changes: Sequence[Insert | Update], cursor: CursorWrapper) -> None:
        self._changes = changes
        self._cursor = cursor
        self._connection = cursor.db
        self._places: dict[int, tuple[int, int]] = {}
        """Of each row that the statement inserts: the number of its change, and its place in that, from 1."""
        self._referring: list[tuple[models.Model, _Field]] = []

    def execute(self) -> None:
        """Send the statement, and give inserted rows their primary keys."""
        shapes: list[Shape] = []
        parameters: list[Any] = []
        for number, change in enumerate(self._changes):
            table = _table_of(change.rows[0], self._connection)
            if isinstance(change, Insert):
                columns, keys = self._inserted(table, number, change.rows), None
            else:
                columns, keys = self._updated(table, change), [row.pk for row in change.rows]
            shape, values = shape_of(table.name, columns, keys, len(change.rows), self._connection)
            shapes.append(shape)
            parameters += values
        self._cursor.execute(sql_of(tuple(shapes), self._connection), parameters)
        if self._places:
            self._take_keys(self._cursor.fetchall())

    def _updated(self, table: _Table, change: Update) -> list[tuple[Column, Sequence[Any]]]:
        stored = [vars(row) for row in change.rows]
        found: list[tuple[Column, Sequence[Any]]] = []
        for name in change.names:
            attname, _name, _is_relation, column, prepare = table.fields[name]
            values = [row[attname] for row in stored]
            if prepare is not None:
                values = [prepare(value, self._connection) for value in values]
            found.append((column, values))
        return found

    def _inserted(
        self, table: _Table, number: int, rows: Sequence[models.Model]
    ) -> list[tuple[Column, Sequence[Any]]]:
        """Return the columns that any row has a value for; the others are left out, and so NULL."""
        found: list[tuple[Column, Sequence[Any]]] = []
        values: Sequence[Any]
        by_field = zip(*[table.values_of(vars(row)) for row in rows], strict=True)
        none = (None,) * len(rows)
        related = {name for row in rows for name in row._state.fields_cache}
        for field, values in zip(table.fields.values(), by_field, strict=True):
            if values == none and field.name not in related:
                continue
            column, prepare = field.column, field.prepare
            if field.is_relation and None in values:
                column, values = self._refer(rows, field, list(values))
            if prepare is not None:
                values = [prepare(value, self._connection) for value in values]
            found.append((column, values))
        self._places.update({id(row): (number, place) for place, row in enumerate(rows, start=1)})
        return found

    def _refer(
        self, rows: Sequence[models.Model], field: _Field, values: list[Any]
    ) -> tuple[Column, list[Any]]:
        """Fill in the keys of related rows; one that the statement itself inserts is given by its negative place."""
        change = None
        for index, row in enumerate(rows):
            if values[index] is None and (related := row._state.fields_cache.get(field.name)) is not None:
                self._referring.append((row, field))
                values[index] = key = related.pk
                if key is None:
                    change, place = self._places[id(related)]
                    values[index] = -place
        return field.column if change is None else field.column._replace(refers_to=change), values

    def _take_keys(self, found: Iterable[tuple[int, int]]) -> None:
        keys: defaultdict[int, list[int]] = defaultdict(list)
        for number, key in found:
            keys[number].append(key)
        using = self._connection.alias
        for number, change in enumerate(self._changes):
            if isinstance(change, Insert):
                for row, key in zip(change.rows, sorted(keys[number]), strict=True):
                    mark_stored(row, key, using)
        for row, field in self._referring:
            vars(row)[field.attname] = row._state.fields_cache[field.name].pk


def _table_of(row: models.Model, connection: BaseDatabaseWrapper) -> _Table:
    return _table(type(row), connection.alias)


@lru_cache
def _table(model: type[models.Model], using: str) -> _Table:
    connection = connections[using]
    fields = {
        field.name: _Field(
            field.attname,
            field.name,
            field.is_relation,
            Column(str(field.column), dialects.type_of(field, connection)),
            dialects.preparation(field, connection),
        )
        for field in model._meta.local_concrete_fields
        if not field.primary_key
    }
    values_of = itemgetter(*(field.attname for field in fields.values()))
    return _Table(model._meta.db_table, fields, values_of)

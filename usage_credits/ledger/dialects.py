"""What differs between the databases: how they lock wallets, what they and their drivers take and give.

How each of them spells what a posting stores is in `usage_credits.ledger.change_sql`.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models import QuerySet
from django.utils.module_loading import import_string

from usage_credits.models import Wallet
from usage_credits.models.fields import KeyField, MetadataField

PLAIN = frozenset(
    {
        models.AutoField,
        models.BigAutoField,
        models.BigIntegerField,
        models.SmallIntegerField,
        models.PositiveIntegerField,
        models.BooleanField,
        models.CharField,
        models.ForeignKey,
        models.OneToOneField,
        KeyField,
    }
)
"""Columns whose values, checked as they are, every driver takes without a conversion."""

MAX_PARAMETERS = 30_000
"""Below what every supported database takes in one statement (SQLite: 32 766)."""


def has_row_locks(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether `locking` locks rows; SQLite has none, a write takes the whole database."""
    return bool(connection.features.has_select_for_update)


def locking(wallets: QuerySet[Wallet], *, skip_locked: bool = False) -> QuerySet[Wallet]:
    """Return the wallets as locked when read, by the weaker lock where there is one.

    PostgreSQL's lets others insert rows that refer to the wallets meanwhile. `skip_locked` leaves out rows that others
    hold, where that can be told.
    """
    features = connections[wallets.db].features
    return wallets.select_for_update(
        no_key=features.has_select_for_no_key_update,
        skip_locked=skip_locked and features.has_select_for_update_skip_locked,
    )


def find_by_index(cursor: CursorWrapper) -> None:
    """Let the rest of the transaction find rows by index, where the database would rather walk a whole table.

    PostgreSQL's does for a thousand keys of a table of some ten thousand rows: for each batch, all of it.
    """
    if cursor.db.vendor == "postgresql":
        cursor.execute("SET LOCAL enable_seqscan = off")


def lock_by_writing(where: Mapping[str, Sequence[Any]], connection: BaseDatabaseWrapper) -> list[Wallet]:
    """Lock the database by an update that changes nothing, and return the wallets in key order.

    `where` lists the values that each of its columns may have.
    """
    table = connection.ops.quote_name(Wallet._meta.db_table)
    conditions = (f"{column} IN ({', '.join(['%s'] * len(values))})" for column, values in where.items())
    sql = f"UPDATE {table} SET asset = asset WHERE {' AND '.join(conditions)} RETURNING *"  # noqa: S608
    values = [value for values in where.values() for value in values]
    return sorted(Wallet.objects.using(connection.alias).raw(sql, values), key=lambda wallet: wallet.pk)


def read_moments_quickly(cursor: CursorWrapper) -> None:
    """Let the driver's own loader read moments, which gives what Django's gives and takes a tenth of its time."""
    if cursor.db.vendor == "postgresql" and settings.USE_TZ:
        adapters, (type_code, format_code, loader) = cursor.cursor.adapters, _moment_loader()
        if adapters.get_loader(type_code, format_code) is not loader:
            adapters.register_loader(type_code, loader)


@lru_cache
def _moment_loader() -> tuple[int, Any, Any]:
    """Return the type and the format that is read, and the driver's compiled loader where it has one."""
    # Only here: the driver is there where its database is.
    adapters = import_string("psycopg.adapters")
    own = import_string("psycopg.adapt.AdaptersMap")(adapters)
    type_code = adapters.types["timestamptz"].oid
    own.register_loader(type_code, import_string("psycopg.types.datetime.TimestamptzLoader"))
    format_code = import_string("psycopg.pq.Format").TEXT
    return type_code, format_code, own.get_loader(type_code, format_code)


Conversion = Callable[[Any, BaseDatabaseWrapper], Any]
"""What makes an instance's value of the database's one, read by that connection."""


def conversion(calls: Sequence[Callable[..., Any]], column: Any) -> Conversion:
    """Return what a column's values but NULL go through; `calls` are Django's own."""
    if isinstance(column.output_field, models.JSONField) and column.output_field.decoder is None:
        return _from_json

    def convert(value: Any, connection: BaseDatabaseWrapper) -> Any:
        for call in calls:
            value = call(value, column, connection)
        return value

    return convert


def _from_json(value: str, connection: BaseDatabaseWrapper) -> Any:
    # Most metadata is empty, and to parse that takes longer than all else about its row.
    return {} if value == "{}" else json.loads(value)


def stores_at_once(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether a statement may hold several that write, each as a WITH query of it."""
    return connection.vendor == "postgresql"


def array_literal(values: Collection[Any]) -> str:
    """Return an array as PostgreSQL reads it; the driver takes several times as long to spell the same."""
    spell = str if set(map(type, values)) == {int} else _element
    return f"{{{','.join(map(spell, values))}}}"


def _element(value: Any) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", r"\\").replace('"', r"\"")
        return f'"{escaped}"'
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    return "NULL" if value is None else str(value)


def type_of(field: models.Field[Any, Any], connection: BaseDatabaseWrapper) -> str:
    """Return the type to give values of a column as; a cast to a type of limited length would cut them down."""
    return "text" if isinstance(field, models.CharField) else str(field.db_type(connection))


def preparation(
    field: models.Field[Any, Any], connection: BaseDatabaseWrapper
) -> Callable[[Any, BaseDatabaseWrapper], Any] | None:
    """Return what makes the database's value of an instance's; None where the driver takes it as it is."""
    if type(field) in PLAIN:
        return None
    if isinstance(field, MetadataField):
        # As text, because PostgreSQL's driver takes several times as long for its wrapper.
        return lambda value, connection: field.as_text(value)
    if isinstance(field, models.DateTimeField) and connection.vendor == "postgresql":
        return None
    return field.get_db_prep_save

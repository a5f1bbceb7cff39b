"""All that differs between the databases: how they lock wallets, and how they spell what a posting stores."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, QuerySet

from usage_credits.models import Wallet
from usage_credits.models.fields import KeyField

PLAIN = frozenset(
    {
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


def lock_by_writing(pks: Collection[int], connection: BaseDatabaseWrapper) -> list[Wallet]:
    """Lock the database by an update that changes nothing, and return the wallets in key order."""
    table = connection.ops.quote_name(Wallet._meta.db_table)
    sql = f"UPDATE {table} SET asset = asset WHERE id IN ({', '.join(['%s'] * len(pks))}) RETURNING *"  # noqa: S608
    return sorted(Wallet.objects.using(connection.alias).raw(sql, list(pks)), key=lambda wallet: wallet.pk)


def as_they_are(connection: BaseDatabaseWrapper) -> frozenset[type[models.Field[Any, Any]]]:
    """Return the kinds of columns whose values the driver takes without a conversion."""
    return PLAIN | {models.DateTimeField} if connection.vendor == "postgresql" else PLAIN


def stores_at_once(connection: BaseDatabaseWrapper) -> bool:
    """Tell whether a statement may hold several that write, each as a WITH query of it."""
    return connection.vendor == "postgresql"


def update_sql(
    connection: BaseDatabaseWrapper, table: str, columns: Sequence[Field[object, object]], rows: int
) -> str:
    """Return the UPDATE of `columns` in many rows, whose parameters are each row's key and values.

    The new values are joined as a table of their own: an expression of a CASE for each row would take each row through
    all of them.
    """
    quote = connection.ops.quote_name
    names = [quote(str(column.column)) for column in columns]
    marks = f"({', '.join(['%s'] * (1 + len(columns)))})"
    if connection.vendor == "mysql":
        values = (
            f"WITH new (id, {', '.join(names)}) AS (VALUES {', '.join([marks] * rows)}) SELECT * FROM new"  # noqa: S608
        )
        settings = ", ".join(f"{table}.{name} = new.{name}" for name in names)
        return f"UPDATE {table} JOIN ({values}) AS new ON new.id = {table}.id SET {settings}"  # noqa: S608 - names of ours
    first = marks
    if connection.vendor == "postgresql":
        # The first row says the types of all.
        types = ["bigint", *(str(column.db_type(connection)) for column in columns)]
        first = f"({', '.join(f'%s::{type_}' for type_ in types)})"
    settings = ", ".join(f"{name} = new.column{place}" for place, name in enumerate(names, start=2))
    return (
        f"UPDATE {table} SET {settings} "  # noqa: S608 - names of ours
        f"FROM (VALUES {', '.join([first, *[marks] * (rows - 1)])}) AS new WHERE {table}.id = new.column1"
    )

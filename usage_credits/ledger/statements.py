"""The statements of a posting, and all that differs between databases."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import Any

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

from usage_credits.ledger.compiled import CompiledQuery
from usage_credits.models import Debt, Lot, Wallet

MAX_PARAMETERS = 30_000
"""Below what every supported database takes in one statement (SQLite: 32 766)."""


def lock_wallets(pks: Collection[int], using: str, *, skip_locked: bool = False) -> list[Wallet]:
    """Lock the wallets' rows in key order, by a statement of its own, and return them as they are under the lock.

    Under READ COMMITTED a statement that both waits for the lock and reads lots would read them as they were before
    the wait. PostgreSQL's weaker row lock lets others insert rows that refer to the wallets meanwhile. SQLite has no
    row locks: a write takes the database's. `skip_locked` leaves out rows that others hold, where that can be told.
    """
    features = connections[using].features
    if features.has_select_for_update:
        if skip_locked and features.has_select_for_update_skip_locked:
            return list(_locking(using, skip_locked=True).filter(pk__in=pks).order_by("pk"))
        return _LOCKED(using, *pks)
    table = connections[using].ops.quote_name(Wallet._meta.db_table)
    marks = ", ".join(["%s"] * len(pks))
    sql = f"UPDATE {table} SET asset = asset WHERE id IN ({marks}) RETURNING *"  # noqa: S608 - our own table's name
    return sorted(Wallet.objects.using(using).raw(sql, list(pks)), key=lambda wallet: wallet.pk)


def _locking(using: str, *, skip_locked: bool = False) -> models.QuerySet[Wallet]:
    no_key = connections[using].features.has_select_for_no_key_update
    return Wallet.objects.using(using).select_for_update(no_key=no_key, skip_locked=skip_locked)


_LOCKED = CompiledQuery(
    lambda using, *pks: _locking(using).filter(pk__in=pks).order_by("pk"), Wallet._meta.get_field("id")
)
_OPEN_LOTS = CompiledQuery(
    lambda using, wallet: Lot.objects.using(using).filter(wallet=wallet).in_spending_order().open(),
    Wallet._meta.get_field("id"),
)
_EXPIRED_LOTS = CompiledQuery(
    lambda using, wallet, now: (
        Lot.objects.using(using).filter(wallet=wallet).in_spending_order().expired(now)
    ),
    Wallet._meta.get_field("id"),
    Lot._meta.get_field("expires_at"),
)


def open_lots(wallet: Wallet, using: str) -> Iterator[Lot]:
    """Yield the wallet's open lots in spending order, read when the first is asked for."""
    yield from _OPEN_LOTS(using, wallet.pk)


def expired_lots(wallet: Wallet, now: datetime.datetime, using: str) -> Iterator[Lot]:
    """Yield the wallet's open lots that have expired, in spending order, read when the first is asked for."""
    yield from _EXPIRED_LOTS(using, wallet.pk, now)


def insert(rows: Sequence[models.Model], using: str) -> None:
    """Insert rows of one model and set their primary keys; one statement for up to some 1,500 rows.

    `bulk_create` would cut them into batches of a few dozen on SQLite, which makes the number of statements grow
    with the number of lots that a debit touches.
    """
    if not rows:
        return
    connection = connections[using]
    model = type(rows[0])
    columns = _columns(model)
    size = MAX_PARAMETERS // len(columns)
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        parameters = [
            column.get_db_prep_save(_value(row, column), connection) for row in batch for column in columns
        ]
        with connection.cursor() as cursor:
            cursor.execute(_insert_sql(model, len(batch), using), parameters)
            for row, (pk,) in zip(batch, cursor.fetchall(), strict=True):
                row.pk = pk
                row._state.adding = False
                row._state.db = using


@lru_cache
def _columns(model: type[models.Model]) -> list[models.Field[Any, Any]]:
    return [column for column in model._meta.local_concrete_fields if not column.primary_key]


@lru_cache(maxsize=256)
def _insert_sql(model: type[models.Model], rows: int, using: str) -> str:
    quote = connections[using].ops.quote_name
    columns = _columns(model)
    values = f"({', '.join(['%s'] * len(columns))})"
    return (
        f"INSERT INTO {quote(model._meta.db_table)} "  # noqa: S608 - names come from the model
        f"({', '.join(quote(str(column.column)) for column in columns)}) "
        f"VALUES {', '.join([values] * rows)} RETURNING {quote(str(model._meta.pk.column))}"
    )


def _value(row: models.Model, column: models.Field[Any, Any]) -> Any:
    """Return the column's value; a reference to a row inserted a moment ago takes that row's new primary key."""
    if isinstance(column, models.ForeignKey) and column.is_cached(row):
        related = column.get_cached_value(row)
        if related is not None:
            setattr(row, column.attname, related.pk)
    return getattr(row, column.attname)


def update_lots(lots: Sequence[Lot], using: str) -> None:
    """Store what is left of the lots."""
    update(lots, ["remaining", "is_open"], using)


def update_claims(claims: Sequence[Debt], using: str) -> None:
    """Store what became of the claims."""
    update(claims, ["amount", "open_amount", "metadata"], using)


def update_wallets(wallets: Sequence[Wallet], using: str) -> None:
    """Store the wallets' projections after their postings."""
    update(wallets, ["booked_balance", "booked_held", "debt", "claims"], using)


def update(rows: Sequence[models.Model], names: Sequence[str], using: str) -> None:
    """Store the named columns of rows of one model; one statement for some thousand rows.

    `bulk_update` does the same from an expression for each value, which takes longer than all the rest of a batch.
    """
    if not rows or not names:
        return
    connection = connections[using]
    model = type(rows[0])
    columns = [column for column in _columns(model) if column.name in names]
    size = MAX_PARAMETERS // (2 * len(columns) + 1)
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        values = [
            value
            for column in columns
            for row in batch
            for value in _keyed(
                row, column.get_db_prep_save(getattr(row, column.attname), connection), len(batch)
            )
        ]
        sql = _update_sql(model, tuple(column.name for column in columns), len(batch), using)
        with connection.cursor() as cursor:
            cursor.execute(sql, [*values, *(row.pk for row in batch)])


@lru_cache(maxsize=256)
def _update_sql(model: type[models.Model], names: tuple[str, ...], rows: int, using: str) -> str:
    connection = connections[using]
    columns = [column for column in _columns(model) if column.name in names]
    settings = ", ".join(_setting(column, rows, connection) for column in columns)
    return (
        f"UPDATE {connection.ops.quote_name(model._meta.db_table)} SET {settings} "  # noqa: S608 - names of the model
        f"WHERE id IN ({', '.join(['%s'] * rows)})"
    )


def _keyed(row: models.Model, value: Any, rows: int) -> tuple[Any, ...]:
    return (value,) if rows == 1 else (row.pk, value)


def _setting(column: models.Field[Any, Any], rows: int, connection: BaseDatabaseWrapper) -> str:
    if rows == 1:
        return f"{connection.ops.quote_name(str(column.column))} = %s"
    value = f"CASE id {' '.join(['WHEN %s THEN %s'] * rows)} END"
    if connection.features.requires_casted_case_in_updates:
        # A branch of nothing but NULL says no type.
        value = f"CAST({value} AS {column.cast_db_type(connection)})"
    return f"{connection.ops.quote_name(str(column.column))} = {value}"

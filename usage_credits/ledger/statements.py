"""The statements of a posting, and all that differs between databases."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Case, Value, When

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
        locking = Wallet.objects.using(using).select_for_update(
            no_key=features.has_select_for_no_key_update,
            skip_locked=skip_locked and features.has_select_for_update_skip_locked,
        )
        return list(locking.filter(pk__in=pks).order_by("pk"))
    table = connections[using].ops.quote_name(Wallet._meta.db_table)
    marks = ", ".join(["%s"] * len(pks))
    sql = f"UPDATE {table} SET asset = asset WHERE id IN ({marks}) RETURNING *"  # noqa: S608 - our own table's name
    return sorted(Wallet.objects.using(using).raw(sql, list(pks)), key=lambda wallet: wallet.pk)


def insert(rows: Sequence[models.Model], using: str) -> None:
    """Insert rows of one model and set their primary keys; one statement for up to some 1,500 rows.

    `bulk_create` would cut them into batches of a few dozen on SQLite, which makes the number of statements grow
    with the number of lots that a debit touches.
    """
    if not rows:
        return
    connection = connections[using]
    meta = rows[0]._meta
    quote = connection.ops.quote_name
    columns = [column for column in meta.local_concrete_fields if not column.primary_key]
    names = ", ".join(quote(str(column.column)) for column in columns)
    values = f"({', '.join(['%s'] * len(columns))})"
    size = MAX_PARAMETERS // len(columns)
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        sql = (
            f"INSERT INTO {quote(meta.db_table)} ({names}) "  # noqa: S608 - names come from the model
            f"VALUES {', '.join([values] * len(batch))} RETURNING {quote(str(meta.pk.column))}"
        )
        parameters = [
            column.get_db_prep_save(_value(row, column), connection) for row in batch for column in columns
        ]
        with connection.cursor() as cursor:
            cursor.execute(sql, parameters)
            for row, (pk,) in zip(batch, cursor.fetchall(), strict=True):
                row.pk = pk
                row._state.adding = False
                row._state.db = using


def _value(row: models.Model, column: models.Field[Any, Any]) -> Any:
    """Return the column's value; a reference to a row inserted a moment ago takes that row's new primary key."""
    if isinstance(column, models.ForeignKey) and column.is_cached(row):
        related = column.get_cached_value(row)
        if related is not None:
            setattr(row, column.attname, related.pk)
    return getattr(row, column.attname)


def update_lots(lots: Sequence[Lot], using: str) -> None:
    """Store what is left of the lots; of those that one debit used, all but one are used up."""
    for start in range(0, len(lots), MAX_PARAMETERS // 4):
        batch = lots[start : start + MAX_PARAMETERS // 4]
        left = {lot.pk: lot.remaining for lot in batch if lot.remaining}
        Lot.objects.using(using).filter(pk__in=[lot.pk for lot in batch]).update(
            remaining=_by_key(left, default=0), is_open=Case(When(pk__in=left, then=True), default=False)
        )


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
    meta = rows[0]._meta
    columns = [column for column in meta.local_concrete_fields if column.name in names]
    size = MAX_PARAMETERS // (2 * len(columns) + 1)
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        pks = [row.pk for row in batch]
        settings = ", ".join(_setting(column, len(batch), connection) for column in columns)
        sql = (
            f"UPDATE {connection.ops.quote_name(meta.db_table)} SET {settings} "  # noqa: S608 - names of the model
            f"WHERE id IN ({', '.join(['%s'] * len(batch))})"
        )
        values = [
            value
            for column in columns
            for row in batch
            for value in (row.pk, column.get_db_prep_save(getattr(row, column.attname), connection))
        ]
        with connection.cursor() as cursor:
            cursor.execute(sql, [*values, *pks])


def _setting(column: models.Field[Any, Any], rows: int, connection: BaseDatabaseWrapper) -> str:
    value = f"CASE id {' '.join(['WHEN %s THEN %s'] * rows)} END"
    if connection.features.requires_casted_case_in_updates:
        # A branch of nothing but NULL says no type.
        value = f"CAST({value} AS {column.cast_db_type(connection)})"
    return f"{connection.ops.quote_name(str(column.column))} = {value}"


def _by_key(values: dict[int, int], default: Any) -> Any:
    """Return the expression that gives each row the value kept under its primary key."""
    whens = [When(pk=pk, then=Value(value)) for pk, value in values.items()]
    return Case(*whens, default=default, output_field=models.BigIntegerField()) if whens else default

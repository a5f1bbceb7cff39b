from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.serializers import serialize
from django.db import IntegrityError, connection, models, transaction
from django.db.models import ProtectedError

from tests.factories import make_wallet, stored
from usage_credits import AppendOnlyError
from usage_credits.ledger.verification import verify
from usage_credits.models import Transaction, Transfer, Wallet

pytestmark = pytest.mark.django_db


def truth() -> list[models.Model]:
    """Return a stored row of each table of truth."""
    wallet, other = make_wallet(10), make_wallet()
    debit = wallet.debit(4)
    transfer = Transfer.objects.create(
        from_wallet=wallet,
        to_wallet=other,
        asset="credits",
        amount=1,
        category="gift",
        expiration_policy="none",
    )
    return [debit, debit.allocations.get(), transfer]


ON_ROWS: dict[str, Callable[[Any], Any]] = {
    "save": lambda row: row.save(),
    "save some fields": lambda row: row.save(update_fields=["amount"]),
    "save by force": lambda row: row.save(force_update=True),
    "asave": lambda row: asyncio.run(row.asave()),
    "delete": lambda row: row.delete(),
    "adelete": lambda row: asyncio.run(row.adelete()),
}

ON_QUERYSETS: dict[str, Callable[[Any, Any], Any]] = {
    "update": lambda rows, row: rows.update(amount=1),
    "update of a slice's filter": lambda rows, row: rows.filter(pk=row.pk).order_by().update(amount=1),
    "aupdate": lambda rows, row: asyncio.run(rows.aupdate(amount=1)),
    "delete": lambda rows, row: rows.all().delete(),
    "adelete": lambda rows, row: asyncio.run(rows.all().adelete()),
    "raw delete": lambda rows, row: rows.all()._raw_delete(using="default"),
    "bulk_update": lambda rows, row: rows.bulk_update([row], ["amount"]),
    "abulk_update": lambda rows, row: asyncio.run(rows.abulk_update([row], ["amount"])),
    "update_or_create": lambda rows, row: rows.update_or_create(pk=row.pk, defaults={"amount": 1}),
    "aupdate_or_create": lambda rows, row: asyncio.run(
        rows.aupdate_or_create(pk=row.pk, defaults={"amount": 1})
    ),
    "upsert": lambda rows, row: rows.bulk_create(
        [row], update_conflicts=True, update_fields=["amount"], unique_fields=["id"]
    ),
    "upsert by position": lambda rows, row: rows.bulk_create([row], None, False, True, ["amount"], ["id"]),
    "aupsert": lambda rows, row: asyncio.run(
        rows.abulk_create([row], update_conflicts=True, update_fields=["amount"], unique_fields=["id"])
    ),
}


@pytest.mark.behaviour("SNP-08")
@pytest.mark.parametrize("change", ON_ROWS)
def test_instances_refuse_every_change(change: str) -> None:
    for row in truth():
        before = stored()
        with pytest.raises(AppendOnlyError, match="append-only"):
            ON_ROWS[change](row)
        assert stored() == before


@pytest.mark.behaviour("SNP-08")
@pytest.mark.parametrize("change", ON_QUERYSETS)
@pytest.mark.parametrize("manager", ["_default_manager", "_base_manager"])
def test_querysets_refuse_every_change(change: str, manager: str) -> None:
    for row in truth():
        before = stored()
        with pytest.raises(AppendOnlyError):
            ON_QUERYSETS[change](getattr(type(row), manager), row)
        assert stored() == before


@pytest.mark.behaviour("SNP-08")
def test_related_managers_refuse_every_change() -> None:
    wallet, other = make_wallet(10), make_wallet()
    debit = wallet.debit(4)
    before = stored()
    changes: list[Callable[[], Any]] = [
        lambda: wallet.transactions.update(amount=1),
        lambda: wallet.history().update(amount=1),
        lambda: wallet.transactions.all().delete(),
        lambda: other.transactions.add(debit),
        lambda: other.transactions.add(debit, bulk=False),
        lambda: wallet.transactions.filter(pk=debit.pk).update_or_create({"amount": 1}, pk=debit.pk),
        lambda: debit.allocations.update(amount=1),
        lambda: debit.allocations.all().delete(),
        lambda: wallet.allocations.all().delete(),
    ]
    for change in changes:
        with pytest.raises(AppendOnlyError), transaction.atomic():
            change()
        assert stored() == before


@pytest.mark.behaviour("WAL-23", "SNP-08")
def test_what_truth_refers_to_cannot_be_deleted() -> None:
    wallet = make_wallet(10)
    debit = wallet.debit(4)
    before = stored()
    parents: list[models.Model] = [wallet, debit.allocations.get().lot]
    for row in parents:
        with pytest.raises(ProtectedError):
            row.delete()
        with pytest.raises(ProtectedError):
            type(row)._default_manager.filter(pk=row.pk).delete()
    assert stored() == before


def test_a_second_insert_of_a_row_is_an_insert_and_fails() -> None:
    row = make_wallet(10).debit(4)
    copy = Transaction(
        pk=row.pk, wallet=row.wallet, amount=1, category="bonus", balance_before=0, balance_after=1
    )
    with pytest.raises(IntegrityError), transaction.atomic():
        copy.save()
    row.refresh_from_db()
    assert row.amount == -4


@pytest.mark.behaviour("SNP-08")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE usage_credits_transaction SET balance_before = 90, balance_after = 86 WHERE id = %s",
        "UPDATE usage_credits_transaction SET metadata = '{}' WHERE id = %s",
        "UPDATE usage_credits_allocation SET amount = 1 WHERE debit_id = %s",
        "DELETE FROM usage_credits_allocation WHERE debit_id = %s",
    ],
)
def test_raw_changes_are_refused_by_postgresql_and_found_elsewhere(statement: str) -> None:
    wallet = make_wallet(10)
    row = wallet.debit(4, metadata={"kept": True})
    if connection.vendor == "postgresql":
        before = stored()
        with (
            pytest.raises(IntegrityError, match="append-only"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement, [row.pk])
        assert stored() == before
        return
    with connection.cursor() as cursor:
        cursor.execute(statement, [row.pk])
        assert cursor.rowcount == 1
    assert bool(list(verify(wallet_id=wallet.pk))) == ("metadata" not in statement)


@pytest.mark.behaviour("SNP-08", "DEC-01")
def test_a_wallet_saved_from_a_stale_instance_keeps_its_projections() -> None:
    stale = make_wallet(10)
    Wallet.objects.get(pk=stale.pk).credit(5)
    stale.booked_balance, stale.debt, stale.booked_held = 1_000, 7, 3
    stale.metadata = {"tier": "gold"}
    stale.save()
    stale.save(update_fields=["booked_balance", "metadata"])
    stale.refresh_from_db()
    assert (stale.booked_balance, stale.debt, stale.booked_held) == (15, 0, 0)
    assert stale.metadata == {"tier": "gold"}


@pytest.mark.behaviour("SNP-08")
@pytest.mark.parametrize("table", ["transaction", "allocation", "transfer"])
def test_postgresql_guards_every_table_of_truth_against_update_and_delete(table: str) -> None:
    truth()
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            for statement in ("UPDATE {} SET amount = amount", "DELETE FROM {}"):
                with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
                    cursor.execute(statement.format(f"usage_credits_{table}"))
        cursor.execute(f"SELECT COUNT(*) FROM usage_credits_{table}")
        assert cursor.fetchone()[0] > 0


def test_fixtures_cannot_overwrite_a_row(tmp_path: Path) -> None:
    credit = make_wallet(10).history().get()
    fixture = tmp_path / "credit.json"
    fixture.write_text(serialize("json", [credit]).replace('"amount": 10', '"amount": 20'))
    with pytest.raises(IntegrityError), transaction.atomic():
        call_command("loaddata", str(fixture), verbosity=0)
    assert Transaction.objects.get(pk=credit.pk).amount == 10

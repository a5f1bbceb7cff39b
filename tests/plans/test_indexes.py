from __future__ import annotations

from typing import NamedTuple

import pytest
from django.db import connection, transaction

from tests.plans.calls import JOBS, READS, WRITES
from tests.plans.explaining import PREFIX, explained, indexes_of, short_name
from tests.plans.filling import Ledger
from usage_credits.ledger.verification import verify

INDEXES = """
SELECT i.indexrelid::regclass::text, i.indrelid::regclass::text, i.indisunique,
       COALESCE(pg_get_expr(i.indpred, i.indrelid), ''),
       array(SELECT pg_get_indexdef(i.indexrelid, n, true) FROM generate_series(1, i.indnkeyatts) n),
       array(SELECT c.opcname FROM unnest(i.indclass) k JOIN pg_opclass c ON c.oid = k)
FROM pg_index i WHERE i.indrelid::regclass::text LIKE %s ORDER BY 2, 1
"""
UNREAD = {
    "holds_to_end": "expire_credits; PostgreSQL 15 prefers the other index on open holds while there are few",
    "keyalias_transaction_id": "a transaction's page in the admin",
    "recharges": "the caps of a recharge, in test_plans",
    "paymentnotice_fulfillment_id": "a fulfillment's page in the admin",
    "transfer_to_wallet_id": "the foreign key: a wallet can be deleted before it has a history",
}
"""Indexes that the calls below may do without, and what they are for."""


class Index(NamedTuple):
    name: str
    table: str
    is_unique: bool
    condition: str
    columns: list[str]
    classes: list[str]

    def stands_in_for(self, other: Index) -> bool:
        """Tell whether what the other is read for could be read from this one."""
        return (
            self.name != other.name
            and (self.table, self.condition) == (other.table, other.condition)
            and self.columns[: len(other.columns)] == other.columns
        )


def indexes() -> list[Index]:
    with connection.cursor() as cursor:
        cursor.execute(INDEXES, [f"{PREFIX}%"])
        return [Index(*row) for row in cursor.fetchall()]


@pytest.mark.django_db
def test_no_index_repeats_the_beginning_of_another() -> None:
    found = indexes()
    assert len(found) > 30
    assert [
        (index.name, other.name)
        for index in found
        for other in found
        if other.stands_in_for(index) and (not index.is_unique or other.columns == index.columns)
    ] == []


@pytest.mark.django_db
def test_no_index_is_for_like() -> None:
    assert [index.name for index in indexes() if any("pattern" in name for name in index.classes)] == []


@pytest.mark.django_db
def test_what_each_debit_changes_is_in_no_index() -> None:
    changed = {f"{PREFIX}lot": {"remaining"}, f"{PREFIX}wallet": {"balance", "held", "debt", "claims"}}
    assert [
        index.name
        for index in indexes()
        if changed.get(index.table, set()) & {*index.columns, *index.condition.strip("()").split()}
    ] == []


def test_every_index_is_read_by_something(ledger: Ledger) -> None:
    used: set[str] = set()
    acts = [call.prepare for call in (WRITES | READS).values()]
    for wallet in (ledger.hot, ledger.small):
        for prepare in acts:
            with transaction.atomic():
                act = prepare(wallet)
                with explained() as statements:
                    act()
                used |= indexes_of(statements)
                transaction.set_rollback(True)
    for job in JOBS.values():
        with transaction.atomic(), explained() as statements:
            job.act()
            transaction.set_rollback(True)
        used |= indexes_of(statements)
    with explained() as statements:
        list(verify(wallet_id=ledger.small.pk))
    used |= indexes_of(statements)
    read_for_no_call = {short_name(index.name) for index in indexes() if not index.is_unique} - used
    assert read_for_no_call <= UNREAD.keys()

"""Count what a call asks of the database: figures that no noise can change."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median_low

from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from benchmarks.measuring import Action

# Of this session alone, and exact within one transaction. Of an index, what a scan returns are its entries.
READS = """
SELECT coalesce(sum(pg_stat_get_xact_tuples_returned(oid)), 0)
     + coalesce(sum(pg_stat_get_xact_tuples_fetched(oid)) FILTER (WHERE relkind = 'r'), 0),
       coalesce(sum(pg_stat_get_xact_blocks_fetched(oid)), 0)
FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')
"""


@dataclass(frozen=True)
class Reads:
    """What PostgreSQL read for a call: rows and index entries, and blocks of tables and indexes."""

    rows: int
    blocks: int


def count_statements(action: Action) -> int:
    """Return how many statements the action sends, BEGIN and COMMIT included; each is a round trip."""
    with CaptureQueriesContext(connection) as captured:
        action()
    return len(captured)


def count_reads(action: Action, *, times: int = 5) -> Reads:
    """Return the medians of what PostgreSQL reads for the action, in `times` transactions.

    Now and then a call splits a page of an index, or clears one of old rows, whatever the history. What foreign keys
    are checked by at COMMIT is left out: a row each, by its primary key.
    """
    found = [_reads_of(action) for _ in range(times)]
    return Reads(median_low(reads.rows for reads in found), median_low(reads.blocks for reads in found))


def _reads_of(action: Action) -> Reads:
    with transaction.atomic():
        before = _reads_so_far()
        action()
        after = _reads_so_far()
    return Reads(after.rows - before.rows, after.blocks - before.blocks)


def _reads_so_far() -> Reads:
    with connection.cursor() as cursor:
        cursor.execute(READS)
        ((rows, blocks),) = cursor.fetchall()
    return Reads(int(rows), int(blocks))

from __future__ import annotations

from functools import partial

import pytest

from tests.plans.calls import A_FEW, READS, WRITES, Act, Call
from tests.plans.explaining import Statement, explained
from tests.plans.filling import Ledger
from usage_credits.billing.fulfillment import count_due, fulfill_due
from usage_credits.ledger.expiry import book_expired, count_expired
from usage_credits.ledger.verification import verify
from usage_credits.models import PaymentNotice

CALLS = WRITES | READS
MOST_PAGES = 20
"""How many pages a row may take: those of each index that it is found by or put into."""

JOBS: dict[str, tuple[Act, set[str]]] = {
    "count_expired": (count_expired, {"lots_to_expire", "holds_to_end"}),
    "book_expired": (lambda: list(book_expired(batch_size=20)), {"open_lots", "open_holds"}),
    "count_due": (count_due, {"due"}),
    "fulfill_due": (lambda: list(fulfill_due(batch_size=20)), {"due", "one_award_per_date", "stopping"}),
    "notices": (lambda: list(PaymentNotice.objects.unresolved()), {"open_notices"}),
}


def run(act: Act) -> list[Statement]:
    with explained() as statements:
        act()
    assert statements
    return statements


def indexes_of(statements: list[Statement]) -> set[str]:
    return {index for statement in statements for scan in statement.scans for index in scan.indexes}


def too_slow(statements: list[Statement], rows: int) -> list[str]:
    """Return those that look at more rows, or take more pages, than they should."""
    return [
        str(statement)
        for statement in statements
        if max(statement.sorted_rows, *(scan.rows for scan in statement.scans), 0) > rows
        or statement.pages > rows * MOST_PAGES
    ]


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("size", ["hot", "small"])
def test_call_reads_what_it_needs_however_long_the_history(ledger: Ledger, call: Call, size: str) -> None:
    statements = run(call.prepare(getattr(ledger, size)))
    assert too_slow(statements, call.rows) == []
    assert set(call.indexes) <= indexes_of(statements), "\n".join(map(str, statements))


@pytest.mark.parametrize("job", JOBS)
def test_job_finds_what_is_due_among_all_that_is_not(ledger: Ledger, job: str) -> None:
    act, indexes = JOBS[job]
    statements = run(act)
    assert too_slow(statements, A_FEW) == []
    assert indexes <= indexes_of(statements), "\n".join(map(str, statements))


def test_verification_of_a_wallet_reads_nothing_of_the_others(ledger: Ledger) -> None:
    statements = run(partial(list, verify(wallet_id=ledger.small.pk)))
    assert too_slow(statements, 1_000) == []


def test_ledger_is_sound(ledger: Ledger) -> None:
    assert list(verify(wallet_id=ledger.small.pk)) == []

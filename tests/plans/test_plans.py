from __future__ import annotations

from functools import partial

import pytest
from django.db import models
from django.test import Client

from tests.admin.browsing import list_url, page_url
from tests.plans.calls import A_FEW, JOBS, READS, SETTINGS, WRITES, Act, Call
from tests.plans.explaining import Statement, explained, indexes_of
from tests.plans.filling import HOT_ROWS, Ledger
from usage_credits.admin.base import COUNTED
from usage_credits.billing.recharge import Recharged, recharge_due
from usage_credits.ledger.verification import verify
from usage_credits.models import (
    Allocation,
    Fulfillment,
    Hold,
    Lot,
    PaymentNotice,
    Recharge,
    RechargeSetting,
    Transaction,
    Wallet,
)
from usage_credits.testing import FakeStripe, use_fake_stripe

CALLS = WRITES | READS
MOST_PAGES = 20
"""How many pages a row may take: those of each index that it is found by or put into."""


def run(act: Act) -> list[Statement]:
    with explained() as statements:
        act()
    assert statements
    return statements


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
    statements = run(JOBS[job].act)
    assert too_slow(statements, JOBS[job].rows) == []
    assert set(JOBS[job].indexes) <= indexes_of(statements), "\n".join(map(str, statements))


@pytest.mark.usefixtures("ledger")
def test_recharges_look_up_balances_once_a_page_and_then_wallets() -> None:
    done: list[Recharged] = []
    with use_fake_stripe(FakeStripe()):
        statements = run(lambda: done.extend(recharge_due(batch_size=8)))
    assert sum(done, Recharged()).failed > 20
    assert too_slow(statements, SETTINGS) == []
    assert len(too_slow(statements, A_FEW)) <= len(done)
    assert {"recharges", "to_resume", "recharge_in_flight_of_id_key"} <= indexes_of(statements)


def test_verification_of_a_wallet_goes_through_no_ledger_of_others(ledger: Ledger) -> None:
    statements = run(partial(list, verify(wallet_id=ledger.small.pk)))
    assert too_slow(statements, HOT_ROWS // 10) == []


@pytest.mark.parametrize(
    "model",
    [
        Allocation,
        Fulfillment,
        Hold,
        Lot,
        PaymentNotice,
        Recharge,
        RechargeSetting,
        Transaction,
        Wallet,
    ],
    ids=lambda model: model.__name__,
)
def test_list_in_the_admin_reads_no_more_than_it_counts(
    ledger: Ledger, admin_client: Client, model: type[models.Model]
) -> None:
    assert too_slow(run(partial(admin_client.get, list_url(model))), COUNTED) == []


def test_pages_in_the_admin_read_what_they_show(ledger: Ledger, admin_client: Client) -> None:
    wallet = ledger.small
    debit, credit = wallet.debit(5, idempotency_key="a"), wallet.credit(5)
    for row in (wallet, debit, credit, credit.lot, wallet.hold(5), Fulfillment.objects.get(wallet=wallet)):
        assert too_slow(run(partial(admin_client.get, page_url(row))), A_FEW) == []


def test_ledger_is_sound(ledger: Ledger) -> None:
    assert list(verify(wallet_id=ledger.small.pk)) == []

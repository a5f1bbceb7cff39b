from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import days, make_wallet
from usage_credits import InvalidValue
from usage_credits.ledger.account_statements import AccountStatement
from usage_credits.ledger.expiry import book_expired
from usage_credits.models import Wallet

pytestmark = pytest.mark.django_db

JANUARY, FEBRUARY, MARCH, APRIL = (datetime.date(2026, month, 1) for month in (1, 2, 3, 4))


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel("2026-01-10", tick=False) as clock:
        yield clock


@pytest.fixture
def wallet(clock: Any) -> Wallet:
    """A wallet with +100 and -30 in January, -20 and +5 in February, nothing in March."""
    wallet = make_wallet(100)
    wallet.debit(30)
    clock.move_to(datetime.datetime(2026, 2, 1, tzinfo=datetime.UTC))
    wallet.debit(20)
    wallet.credit(5)
    return wallet


@pytest.mark.parametrize(
    ("since", "until", "opening", "amounts", "closing"),
    [
        (JANUARY, FEBRUARY, 0, [100, -30], 70),
        (FEBRUARY, MARCH, 70, [-20, 5], 55),
        (MARCH, APRIL, 55, [], 55),
        (None, None, 0, [100, -30, -20, 5], 55),
        (None, JANUARY, 0, [], 0),
        (FEBRUARY, None, 70, [-20, 5], 55),
        (MARCH, None, 55, [], 55),
        (None, FEBRUARY, 0, [100, -30], 70),
    ],
)
def test_rows_lead_from_the_opening_to_the_closing_balance(
    wallet: Wallet, since: Any, until: Any, opening: int, amounts: list[int], closing: int
) -> None:
    statement = wallet.statement(since=since, until=until)
    assert (statement.opening, statement.closing) == (opening, closing)
    assert [row.amount for row in statement.rows] == amounts
    assert opening + sum(amounts) == closing


def test_statement_of_a_past_period_never_changes(clock: Any) -> None:
    wallet = make_wallet(100)
    wallet.credit(50, expires_at=datetime.datetime(2026, 1, 20, tzinfo=datetime.UTC))
    clock.shift(days(30))
    january = wallet.statement(since=JANUARY, until=FEBRUARY)
    assert january.closing == 150
    list(book_expired())
    assert wallet.statement(since=JANUARY, until=FEBRUARY) == january
    assert [row.amount for row in wallet.statement(since=FEBRUARY).rows] == [-50]


def test_empty_wallet() -> None:
    assert make_wallet().statement() == AccountStatement(0, (), 0)


@pytest.mark.parametrize("options", [{"since": "today"}, {"until": datetime.datetime(2026, 1, 1)}])
def test_refuse_what_is_no_moment(options: Any) -> None:
    with pytest.raises(InvalidValue) as refusal:
        make_wallet().statement(**options)
    assert refusal.value.field == next(iter(options))


def test_read_by_two_statements_at_most(wallet: Wallet) -> None:
    for since, number in ((FEBRUARY, 1), (MARCH, 2)):
        with CaptureQueriesContext(connection) as captured:
            wallet.statement(since=since)
        assert len(captured) == number

from __future__ import annotations

import datetime
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from tests.factories import configured, days, make_user, make_wallet, payments_of, remaining_of, snapshots_of
from usage_credits import InsufficientCredits
from usage_credits.ledger.verification import verify

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

START = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
NEGATIVES = {"ALLOW_NEGATIVE_BALANCE": True}


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(START, tick=False) as clock:
        yield clock


@pytest.mark.behaviour("DEB-09", "DEC-02", "DEC-03")
def test_debit_beyond_the_balance_leaves_a_debt_and_a_credit_settles_it() -> None:
    wallet = make_wallet(10)
    with configured(**NEGATIVES):
        row = wallet.debit(25)
    assert (row.amount, row.balance_before, row.balance_after, row.overdraft, row.unbacked) == (
        -25,
        10,
        -15,
        15,
        15,
    )
    assert [amount for _, amount in payments_of(row)] == [10]
    assert wallet.balance == -15
    wallet.credit(20)
    assert wallet.balance == 5
    assert row.unbacked == 0


@pytest.mark.behaviour("DEB-10")
def test_debit_of_an_empty_wallet_is_all_debt() -> None:
    wallet = make_wallet()
    with configured(**NEGATIVES):
        row = wallet.debit(30)
    assert payments_of(row) == []
    assert (row.unbacked, wallet.balance) == (30, -30)


@pytest.mark.behaviour("CRE-18", "DEC-04")
def test_expiry_of_the_lot_that_settled_a_debt_does_not_bring_it_back(clock: Any) -> None:
    wallet = make_wallet()
    with configured(**NEGATIVES):
        wallet.debit(15)
    wallet.credit(20, expires_at=START + days(1))
    assert (remaining_of(wallet), wallet.balance) == ([5], 5)
    clock.shift(days(2))
    assert wallet.balance == 0
    wallet.credit(1)
    assert wallet.balance == 1
    assert snapshots_of(wallet) == [(0, -15), (-15, 5), (5, 0), (0, 1)]
    assert list(verify()) == []


@pytest.mark.behaviour("DEC-04")
def test_debts_are_settled_oldest_first() -> None:
    wallet = make_wallet()
    with configured(**NEGATIVES):
        debts = [wallet.debit(10) for _ in range(3)]
    wallet.credit(15)
    assert [debt.unbacked for debt in debts] == [0, 5, 10]
    with configured(**NEGATIVES):
        debts.append(wallet.debit(7))
    assert wallet.balance == -22
    wallet.credit(6)
    assert [debt.unbacked for debt in debts] == [0, 0, 9, 7]
    wallet.credit(100)
    assert [debt.unbacked for debt in debts] == [0, 0, 0, 0]
    assert wallet.balance == 84
    assert list(verify()) == []


def test_debt_is_refused_again_once_negatives_are_off() -> None:
    user = make_user(10)
    with configured(**NEGATIVES):
        user.wallet().debit(25)
    with pytest.raises(InsufficientCredits) as refusal:
        user.wallet().debit(1)
    assert (refusal.value.available, refusal.value.required) == (0, 1)
    user.wallet().credit(15)
    with pytest.raises(InsufficientCredits):
        user.wallet().debit(1)


def test_debit_with_negatives_books_expiry_before_it_goes_into_debt(clock: Any) -> None:
    wallet = make_wallet()
    wallet.credit(10, expires_at=START + days(1))
    wallet.credit(3)
    clock.shift(days(1))
    with configured(**NEGATIVES):
        row = wallet.debit(5)
    assert snapshots_of(wallet) == [(0, 10), (10, 13), (13, 3), (3, -2)]
    assert (row.overdraft, remaining_of(wallet)) == (2, [0, 0])
    assert list(verify()) == []


def test_negatives_allowed_take_from_lots_as_long_as_they_last() -> None:
    wallet = make_wallet(10)
    with configured(**NEGATIVES):
        assert wallet.debit(10).overdraft == 0
        assert wallet.debit(1).overdraft == 1
    assert timezone.now() == START
    assert list(verify()) == []

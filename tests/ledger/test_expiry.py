from __future__ import annotations

import datetime
from typing import Any

import pytest
import time_machine

from tests.factories import (
    amounts_of,
    days,
    lot_of,
    make_wallet,
    names,
    payments_of,
    remaining_of,
    snapshots_of,
    stored,
)
from usage_credits import InsufficientCredits
from usage_credits.ledger.expiry import Expired, book_expired, count_expired
from usage_credits.ledger.verification import verify
from usage_credits.testing import capture_events

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

START = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(START, tick=False) as clock:
        yield clock


@pytest.mark.behaviour("DEC-13", "DEC-10")
@pytest.mark.parametrize("verb", ["credit", "debit"])
def test_next_write_books_what_expired_before_its_own_row(verb: str, clock: Any) -> None:
    wallet = make_wallet(50)
    expiring = lot_of(wallet.credit(100, expires_at=START + days(1)))
    wallet.debit(40)
    clock.shift(days(2))
    assert wallet.balance == 50
    row = getattr(wallet, verb)(5)
    booked = wallet.history().get(category="expiration")
    assert (booked.amount, booked.balance_before, booked.balance_after) == (-60, 110, 50)
    assert payments_of(booked) == [(expiring.pk, 60)]
    assert booked.pk < row.pk
    assert booked.created_at == row.created_at
    wallet.refresh_from_db()
    assert sum(amounts_of(wallet)) == wallet.booked_balance == wallet.balance
    assert list(verify()) == []


@pytest.mark.behaviour("DEC-13", "EVT-24")
def test_each_expired_lot_is_booked_and_announced_once(clock: Any) -> None:
    wallet = make_wallet()
    wallet.credit(10, expires_at=START + days(1))
    wallet.credit(20, expires_at=START + days(1.5))
    wallet.credit(30, expires_at=START + days(9))
    clock.shift(days(2))
    with capture_events() as heard:
        wallet.debit(1)
        wallet.debit(1)
    assert names(heard) == ["credits_expired", "credits_expired", "credits_deducted", "credits_deducted"]
    assert [context.amount for context in heard[:2]] == [10, 20]
    assert [(context.previous_balance, context.new_balance) for context in heard[:2]] == [(60, 50), (50, 30)]
    assert heard[0].category == "expiration"
    assert remaining_of(wallet) == [0, 0, 28]


@pytest.mark.behaviour("DEC-13")
def test_refused_debit_books_no_expiry(clock: Any) -> None:
    wallet = make_wallet()
    wallet.credit(10, expires_at=START + days(1))
    clock.shift(days(2))
    before = stored()
    with capture_events() as heard, pytest.raises(InsufficientCredits):
        wallet.debit(1)
    assert stored() == before
    assert names(heard) == ["insufficient_credits"]


@pytest.mark.behaviour("DEC-13", "EVT-24")
def test_batch_books_every_wallet_and_changes_no_balance(clock: Any) -> None:
    wallets = [make_wallet(5) for _ in range(3)]
    for wallet in wallets[:2]:
        wallet.credit(10, expires_at=START + days(1))
        wallet.credit(7, expires_at=START + days(1))
    spent = make_wallet()
    spent.credit(4, expires_at=START + days(1))
    spent.debit(4)
    clock.shift(days(2))
    assert count_expired() == Expired(wallets=2, lots=4, credits=34)
    balances = [wallet.balance for wallet in wallets]
    with capture_events() as heard:
        assert list(book_expired(batch_size=1)) == [Expired(1, 2, 17), Expired(1, 2, 17)]
    assert names(heard) == ["credits_expired"] * 4
    assert [wallet.balance for wallet in wallets] == balances == [5, 5, 5]
    assert snapshots_of(wallets[0]) == [(0, 5), (5, 15), (15, 22), (22, 12), (12, 5)]
    assert count_expired() == Expired()
    before = stored()
    assert list(book_expired()) == []
    assert stored() == before
    assert list(verify()) == []


def test_interrupted_batches_keep_what_was_booked_and_the_next_run_goes_on(clock: Any) -> None:
    for _ in range(3):
        make_wallet().credit(10, expires_at=START + days(1))
    clock.shift(days(2))
    batches = book_expired(batch_size=2)
    assert next(batches) == Expired(2, 2, 20)
    batches.close()  # type: ignore[attr-defined]
    assert count_expired() == Expired(1, 1, 10)
    assert list(book_expired()) == [Expired(1, 1, 10)]


def test_lot_that_expires_now_is_booked_now(clock: Any) -> None:
    wallet = make_wallet()
    wallet.credit(10, expires_at=START + days(1))
    clock.move_to(START + days(1) - datetime.timedelta(microseconds=1))
    assert count_expired() == Expired()
    clock.move_to(START + days(1))
    assert list(book_expired()) == [Expired(1, 1, 10)]
    assert amounts_of(wallet) == [10, -10]

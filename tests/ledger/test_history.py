from __future__ import annotations

from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.utils import timezone

from tests.factories import days, make_user, make_wallet, snapshots_of
from usage_credits.models import Transaction

pytestmark = pytest.mark.django_db


@pytest.mark.behaviour("SNP-01", "SNP-02", "SNP-03", "SNP-07")
def test_rows_store_the_balance_before_and_after() -> None:
    wallet = make_wallet()
    wallet.credit(1000)
    wallet.credit(500)
    wallet.debit(200)
    wallet.credit(100)
    wallet.debit(50)
    assert snapshots_of(wallet) == [(0, 1000), (1000, 1500), (1500, 1300), (1300, 1400), (1400, 1350)]
    assert all(
        type(figure) is int and row.balance_before + row.amount == row.balance_after
        for row in wallet.history()
        for figure in (row.balance_before, row.balance_after)
    )


@pytest.mark.behaviour("SNP-07")
def test_emptying_a_wallet_exactly_is_recorded() -> None:
    wallet = make_wallet(100)
    wallet.debit(100)
    assert snapshots_of(wallet) == [(0, 100), (100, 0)]


@pytest.mark.behaviour("SNP-03", "DEC-13")
def test_chain_has_no_gap_when_a_lot_expires_between_two_rows() -> None:
    wallet = make_wallet()
    with time_machine.travel("2026-01-01", tick=False) as clock:
        wallet.credit(100, expires_at=timezone.now() + days(1))
        wallet.debit(40)
        clock.shift(days(2))
        wallet.credit(5)
    assert snapshots_of(wallet) == [(0, 100), (100, 60), (60, 0), (0, 5)]


@pytest.mark.behaviour("SNP-09")
def test_history_is_oldest_first_and_rows_of_one_instant_keep_their_order() -> None:
    user = make_user()
    with time_machine.travel("2026-01-01", tick=False):
        rows = [user.wallet().credit(amount) for amount in (1, 2, 3)]
    assert list(user.credit_history) == list(user.wallet().history()) == rows


@pytest.mark.behaviour("SNP-10", "SUL-22")
def test_recent_is_newest_first_and_limited() -> None:
    wallet = make_wallet()
    with time_machine.travel("2026-01-01", tick=False):
        rows = [wallet.credit(amount, cash=amount) for amount in range(1, 253)]
    assert list(wallet.history().recent(2)) == [rows[-1], rows[-2]]
    listed = list(wallet.history().recent())
    assert listed == rows[:1:-1]
    assert len(listed) == 250
    assert [row.cash_amount for row in listed[:2]] == [252, 251]
    assert wallet.history().newest_first().first() == rows[-1]


@pytest.mark.behaviour("SNP-11")
def test_history_is_filtered() -> None:
    user = make_user()
    wallet = user.wallet()
    with time_machine.travel("2026-01-01", tick=False) as clock:
        bonus = wallet.credit(100, category="bonus", expires_at=timezone.now() + days(1))
        added = wallet.credit(50, expires_at=timezone.now() + days(9))
        charge = user.spend_credits_on("report")
        debit = wallet.debit(5)
        clock.shift(days(1))
        history = wallet.history()
        assert list(history.of_category("bonus")) == [bonus]
        assert list(history.credits()) == [bonus, added]
        assert list(history.debits()) == [charge, debit]
        assert list(history.operation_charges()) == [charge]
        assert list(history.expired()) == [bonus]
        assert list(history.not_expired()) == [added, charge, debit]
        assert list(history.credits().not_expired().newest_first()) == [added]


def test_history_of_an_owner_without_wallet_is_empty() -> None:
    user = make_user()
    user.wallet().delete()
    assert list(user.credit_history) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount": 0, "balance_after": 5}, "amount"),
        ({"balance_after": 7}, "balance_after"),
        ({"amount": -1, "balance_after": 4, "expires_at": timezone.now()}, "expires_at"),
    ],
)
def test_transaction_that_does_not_add_up_is_invalid(changes: dict[str, Any], field: str) -> None:
    columns: dict[str, Any] = {"amount": 1, "category": "bonus", "balance_before": 5, "balance_after": 6}
    row = Transaction(wallet=make_wallet(), **(columns | changes))
    with pytest.raises(ValidationError) as refusal:
        row.clean()
    assert set(refusal.value.message_dict) == {field}
    Transaction(wallet=make_wallet(), **columns).clean()

from __future__ import annotations

import datetime
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from tests import bad_values
from tests.factories import configured, days, make_user, make_wallet, stored
from usage_credits import InvalidValue
from usage_credits.models import Transaction

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]

START = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(START, tick=False) as clock:
        yield clock


@pytest.mark.behaviour("BAL-01")
def test_empty_wallet_has_nothing() -> None:
    wallet = make_wallet()
    assert (wallet.balance, wallet.held, wallet.available) == (0, 0, 0)


@pytest.mark.behaviour("BAL-02", "BAL-03")
def test_lot_stops_counting_at_the_instant_of_its_expiry(clock: Any) -> None:
    user = make_user()
    wallet = user.wallet()
    row = wallet.credit(100, expires_at=START + days(1))
    moment = datetime.timedelta(microseconds=1)
    clock.move_to(START + days(1) - moment)
    assert (wallet.balance, user.credits, row.is_expired) == (100, 100, False)
    assert list(Transaction.objects.not_expired()) == [row]
    assert list(Transaction.objects.expired()) == []
    clock.move_to(START + days(1))
    assert (wallet.balance, user.credits, row.is_expired) == (0, 0, True)
    assert list(Transaction.objects.not_expired()) == []
    assert list(Transaction.objects.expired()) == [row]


@pytest.mark.behaviour("BAL-04", "BAL-05", "BAL-11")
def test_time_alone_lowers_the_balance_and_writes_nothing(clock: Any) -> None:
    wallet = make_wallet(100)
    wallet.credit(200, expires_at=START + days(1))
    wallet.debit(100)
    clock.shift(days(2))
    wallet.credit(150, expires_at=timezone.now() + datetime.timedelta(hours=1))
    wallet.credit(250, expires_at=timezone.now() + days(15))
    before = stored()
    assert wallet.balance == 500
    clock.shift(datetime.timedelta(hours=1))
    assert wallet.balance == 350
    clock.shift(days(15))
    assert wallet.balance == 100
    assert stored() == before


@pytest.mark.behaviour("BAL-06", "DEC-01", "DEC-02")
def test_booked_balance_may_lag_and_decides_nothing(clock: Any) -> None:
    user = make_user()
    wallet = user.wallet()
    wallet.credit(100, expires_at=START + days(1))
    clock.shift(days(1))
    wallet.refresh_from_db()
    assert wallet.booked_balance == 100
    assert (wallet.balance, user.credits) == (0, 0)
    assert not wallet.has_enough_balance(1)
    assert not user.has_enough_credits_to("mail")
    wallet.credit(7)
    wallet.refresh_from_db()
    assert wallet.booked_balance == wallet.balance == 7


@pytest.mark.behaviour("BAL-07", "DEC-02")
def test_signed_balance_shows_debt_and_credits_do_not() -> None:
    user = make_user(10)
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        user.wallet().debit(25)
    assert (user.wallet().balance, user.wallet().available, user.credits) == (-15, 0, 0)


@pytest.mark.behaviour("BAL-08", "CRE-08", "CRE-09")
@pytest.mark.parametrize("amount", [*bad_values.AMOUNTS, object()], ids=bad_values.named)
def test_enough_balance_answers_no_to_what_is_no_amount(amount: Any) -> None:
    assert make_wallet(100).has_enough_balance(amount) is False


@pytest.mark.behaviour("BAL-08")
def test_enough_balance_compares_with_what_is_available() -> None:
    wallet = make_wallet(100)
    assert wallet.has_enough_balance(100) is True
    assert wallet.has_enough_balance(101) is False


@pytest.mark.behaviour("BAL-09")
def test_balances_are_int_on_every_database(clock: Any) -> None:
    user = make_user(10)
    wallet = user.wallet()
    wallet.credit(5, expires_at=START + days(1))
    clock.shift(days(2))
    figures = [wallet.balance, wallet.held, wallet.available, user.credits, wallet.balance_at(START)]
    assert [type(figure) for figure in figures] == [int] * 5
    assert type(make_wallet().balance) is int


@pytest.mark.behaviour("BAL-10")
def test_a_billion_and_a_billion_is_exact() -> None:
    wallet = make_wallet(10**9)
    wallet.credit(10**9)
    assert wallet.balance == 2 * 10**9


def test_balance_at_a_moment_past_or_to_come(clock: Any) -> None:
    wallet = make_wallet()
    assert wallet.balance_at(START - days(1)) == 0
    wallet.credit(100, expires_at=START + days(2))
    clock.move_to(START + days(1))
    wallet.credit(50)
    wallet.debit(30)
    assert wallet.balance_at(START) == 100
    assert wallet.balance_at(START + days(0.5)) == 100
    assert wallet.balance_at(START + days(1)) == 120
    assert wallet.balance_at(START + days(2)) == 50
    clock.move_to(START + days(5))
    wallet.debit(50)
    assert wallet.balance == wallet.balance_at(timezone.now()) == 0
    assert wallet.balance_at(START + days(1)) == 120
    assert wallet.balance_at(START + days(2) - datetime.timedelta(microseconds=1)) == 120
    assert wallet.balance_at(START + days(2)) == 50
    assert wallet.balance_at(START + days(4)) == 50


@pytest.mark.parametrize("moment", [datetime.datetime(2026, 1, 1), "2026-01-01", 5], ids=repr)
def test_balance_at_refuses_what_is_no_moment(moment: Any) -> None:
    with pytest.raises(InvalidValue) as refusal:
        make_wallet().balance_at(moment)
    assert refusal.value.field == "moment"

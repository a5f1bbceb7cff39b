from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from tests import bad_values
from tests.factories import add_history, days, make_wallet
from usage_credits import InsufficientCredits, InvalidValue
from usage_credits.ledger.balance_history import balance_history
from usage_credits.ledger.local_dates import midnight
from usage_credits.models import Wallet

START = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as clock:
        yield clock


def balances(wallet: Wallet, number: int) -> list[int]:
    return [day.balance for day in balance_history(wallet, number)]


@pytest.mark.django_db
def test_balance_history_tells_the_end_of_each_day_and_of_today_as_it_is_now(clock: Any) -> None:
    wallet = make_wallet(100)
    wallet.debit(30)
    clock.shift(days(2))
    wallet.debit(50)
    assert balances(wallet, 5) == [0, 0, 70, 70, 20]
    assert balance_history(wallet, 1) == [(datetime.date(2026, 1, 3), 20)]


@pytest.mark.django_db
def test_balance_history_tells_of_every_so_many_days_back_from_today(clock: Any) -> None:
    wallet = make_wallet(100)
    clock.shift(days(8))
    wallet.debit(30)
    assert balance_history(wallet, 15, every=7) == [
        (datetime.date(2025, 12, 26), 0),
        (datetime.date(2026, 1, 2), 100),
        (datetime.date(2026, 1, 9), 70),
    ]


@pytest.mark.django_db
def test_balance_history_counts_no_expired_lot_whether_booked_or_not(clock: Any) -> None:
    wallet = make_wallet(10)
    wallet.credit(100, expires_at=START + days(1))
    clock.shift(days(3))
    assert balances(wallet, 5) == [0, 110, 10, 10, 10]
    wallet.debit(1)
    assert balances(wallet, 5) == [0, 110, 10, 10, 9]


@pytest.mark.django_db
def test_balance_history_takes_days_of_the_current_time_zone(clock: Any) -> None:
    wallet = make_wallet()
    clock.move_to(datetime.datetime(2026, 1, 2, 22, 30, tzinfo=datetime.UTC))
    wallet.credit(7)
    clock.shift(days(1))
    with timezone.override("Europe/Madrid"):
        assert balance_history(wallet, 2) == [(datetime.date(2026, 1, 2), 7), (datetime.date(2026, 1, 3), 7)]
    with timezone.override("Asia/Tokyo"):
        assert balance_history(wallet, 3) == [
            (datetime.date(2026, 1, 2), 0),
            (datetime.date(2026, 1, 3), 7),
            (datetime.date(2026, 1, 4), 7),
        ]


@pytest.mark.django_db
@pytest.mark.parametrize("number", [*bad_values.AMOUNTS, 367], ids=bad_values.named)
def test_balance_history_refuses_what_is_no_number_of_days(number: Any) -> None:
    wallet = make_wallet()
    with pytest.raises(InvalidValue, match="days: "):
        balance_history(wallet, number)
    with pytest.raises(InvalidValue, match="every: "):
        balance_history(wallet, every=number)


@pytest.mark.django_db
def test_balance_history_takes_as_many_statements_whatever_the_history() -> None:
    wallet = make_wallet()
    with CaptureQueriesContext(connection) as few:
        balance_history(wallet, 366)
    add_history(wallet, 2_000)
    with CaptureQueriesContext(connection) as many:
        balance_history(wallet, 366)
    assert len(few) == len(many) == 4


steps = st.lists(
    st.tuples(
        st.sampled_from(["credit", "debit", "hold"]),
        st.integers(1, 50),
        st.integers(0, 60),  # hours until it expires
        st.integers(0, 40),  # hours that pass after it
    ),
    max_size=12,
)


class AnyHistory(TestCase):
    @given(steps=steps)
    def test_balance_history_says_what_balance_at_says(self, steps: list[tuple[str, int, int, int]]) -> None:
        with time_machine.travel(START, tick=False) as clock:
            wallet = make_wallet()
            for verb, amount, lasting, passing in steps:
                try:
                    if verb == "credit":
                        expires_at = timezone.now() + datetime.timedelta(hours=lasting) if lasting else None
                        wallet.credit(amount, expires_at=expires_at)
                    elif verb == "debit":
                        wallet.debit(amount)
                    else:
                        hold = wallet.hold(amount, ttl=datetime.timedelta(hours=1 + lasting))
                        if amount % 2:
                            hold.capture(amount=1)
                except InsufficientCredits:
                    pass
                clock.shift(datetime.timedelta(hours=passing))
            *past, today = balance_history(wallet, 25)
            last = datetime.timedelta(microseconds=1)
            assert [balance for _day, balance in past] == [
                wallet.balance_at(midnight(day, after=1) - last) for day, _balance in past
            ]
            assert today == (timezone.localdate(), wallet.balance)

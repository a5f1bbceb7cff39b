from __future__ import annotations

import datetime
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from tests.factories import make_user
from usage_credits.models import Transaction, Wallet
from usage_credits.statements.filters import StatementFilter

pytestmark = pytest.mark.django_db

START = datetime.datetime(2026, 3, 1, 23, 30, tzinfo=datetime.UTC)


@pytest.fixture
def wallet() -> Wallet:
    user = make_user()
    with time_machine.travel(START, tick=False) as clock:
        user.give_credits(100, reason="signup")
        clock.shift(datetime.timedelta(hours=1))
        user.spend_credits_on("report", attributed_to="key_1")
        clock.shift(datetime.timedelta(days=1))
        user.spend_credits_on("mail")
    return user.wallet()


@pytest.mark.parametrize(
    ("asked", "amounts"),
    [
        ({}, [-1, -25, 100]),
        ({"page": "2", "nothing": "x"}, [-1, -25, 100]),
        ({"direction": "in"}, [100]),
        ({"direction": "out"}, [-1, -25]),
        ({"category": "signup_bonus"}, [100]),
        ({"operation": "report"}, [-25]),
        ({"attributed_to": "key_1"}, [-25]),
        ({"attributed_to": "KEY_1"}, []),
        ({"since": "2026-03-02"}, [-1, -25]),
        ({"until": "2026-03-01"}, [100]),
        ({"since": "2026-03-02", "until": "2026-03-02"}, [-25]),
        ({"since": "2026-03-01", "until": "2026-03-03", "direction": "out", "operation": "mail"}, [-1]),
    ],
)
def test_filter_keeps_the_rows_that_are_asked_for(
    wallet: Wallet, asked: dict[str, str], amounts: list[int]
) -> None:
    form = StatementFilter(asked)
    assert form.is_valid()
    rows = form.rows(Transaction.objects.filter(wallet=wallet).newest_first())
    assert [row.amount for row in rows] == amounts


def test_filter_takes_days_of_the_current_time_zone(wallet: Wallet) -> None:
    form = StatementFilter({"since": "2026-03-02", "until": "2026-03-02"})
    assert form.is_valid()
    with timezone.override("Europe/Madrid"):
        rows = form.rows(wallet.history())
        assert [row.amount for row in rows] == [100, -25]


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"direction": "up"}, "direction"),
        ({"category": "x" * 101}, "category"),
        ({"operation": "x" * 256}, "operation"),
        ({"operation": "a\x00b"}, "operation"),
        ({"attributed_to": "x" * 256}, "attributed_to"),
        ({"since": "yesterday"}, "since"),
        ({"until": "2026-02-30"}, "until"),
        ({"since": "2026-03-02", "until": "2026-03-01"}, "until"),
        ({"since": "0001-01-01"}, "since"),
        ({"until": "9999-12-31"}, "until"),
    ],
)
def test_filter_refuses_what_it_cannot_ask_for(asked: dict[str, Any], field: str) -> None:
    form = StatementFilter(asked)
    assert not form.is_valid()
    assert list(form.errors) == [field]

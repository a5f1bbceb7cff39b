from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import NewcomerFactory, StudioFactory, TeamFactory, add_history, days, make_user, stored
from usage_credits import InvalidValue

pytestmark = pytest.mark.django_db

START = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as clock:
        yield clock


@pytest.mark.parametrize(
    ("age", "spent", "left", "days_left"),
    [
        (90, 30, 100, 100),
        (90, 31, 100, 96),
        (90, 300, 0, 0),
        (90, 300, 9, 0),
        (90, 300, 10, 1),
        (10, 30, 100, 33),
        (0, 30, 100, 3),
    ],
)
def test_credits_last_at_the_pace_of_the_last_days(
    clock: Any, age: int, spent: int, left: int, days_left: int
) -> None:
    user = make_user(spent + left)
    clock.shift(days(age))
    user.wallet().debit(spent)
    assert user.credit_runway() == days_left


def test_only_what_was_spent_counts(clock: Any) -> None:
    user = make_user(1_000)
    assert user.credit_runway() is None
    user.wallet().debit(500)
    clock.shift(days(40))
    user.wallet().transfer_to(make_user().wallet(), 100)
    user.wallet().debit(7).reverse()
    user.give_credits(10, expires_at=START + days(41))
    clock.shift(days(2))
    assert user.credit_runway() is None
    assert user.credit_runway(days=60) == 400 * 42 // 500
    user.wallet().debit(3)
    user.wallet().hold(97)
    assert user.credit_runway(days=5) == 300 * 5 // 3


def test_debt_lasts_no_day() -> None:
    user = make_user(10)
    user.record_usage("report", message="msg_1")
    assert user.credit_runway() == 0


def test_owner_without_a_wallet_spent_nothing() -> None:
    studio = StudioFactory.create()
    before = stored()
    assert studio.credit_runway() is None
    assert stored() == before
    assert NewcomerFactory.create().credit_runway() is None


def test_owner_with_another_key_and_async_code() -> None:
    team = TeamFactory.create()
    team.give_credits(100)
    team.wallet().debit(10)
    assert async_to_sync(team.acredit_runway)(days=7) == team.credit_runway(days=7) == 9


@pytest.mark.parametrize("value", [0, -1, 3_651, 1.0, True, None, "30"])
def test_refuse_what_is_no_number_of_days(value: Any) -> None:
    for owner in (make_user(), StudioFactory.create()):
        with pytest.raises(InvalidValue) as refusal:
            owner.credit_runway(days=value)
        assert refusal.value.field == "days"


def test_read_by_three_statements() -> None:
    user = make_user()
    add_history(user.wallet(), 1_000)
    with CaptureQueriesContext(connection) as captured:
        assert user.credit_runway() == 0
    assert len(captured) == 3

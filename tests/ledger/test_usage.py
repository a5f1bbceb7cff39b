from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.app.models import User
from tests.factories import add_history, configured, days, make_user
from usage_credits import Operation, credits, key_spend, usage_summary
from usage_credits.exceptions import InvalidValue
from usage_credits.ledger.usage import UsageLine, UsageSummary

pytestmark = pytest.mark.django_db

FIRST, SECOND = datetime.date(2026, 3, 1), datetime.date(2026, 3, 2)
NOON = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


@pytest.fixture
def user(clock: Any) -> User:
    """A user who spent 25, 11 and 7 on the first of March and 25 on the second."""
    user = make_user(1_000)
    user.spend_credits_on("report", attributed_to="key_1")
    user.spend_credits_on("img", mb=1, attributed_to="key_2")
    user.wallet().debit(7, category="manual_adjustment", metadata={"operation": "report"})
    clock.shift(days(1))
    user.spend_credits_on("report", attributed_to="key_1")
    return user


def test_sum_up_by_day_category_operation_and_key(user: User) -> None:
    summary = usage_summary(user)
    assert set(summary.lines) == {
        UsageLine(FIRST, "manual_adjustment", None, None, 7, 1),
        UsageLine(FIRST, "operation_charge", "img", "key_2", 11, 1),
        UsageLine(FIRST, "operation_charge", "report", "key_1", 25, 1),
        UsageLine(SECOND, "operation_charge", "report", "key_1", 25, 1),
    }
    assert [line.day for line in summary.lines] == [FIRST, FIRST, FIRST, SECOND]
    assert summary.spent == 68
    assert summary.by_day == {FIRST: 43, SECOND: 25}
    assert summary.by_category == {"operation_charge": 61, "manual_adjustment": 7}
    assert summary.by_operation == {"report": 50, "img": 11, None: 7}
    assert summary.by_key == {"key_1": 50, "key_2": 11, None: 7}


def test_one_line_for_charges_of_one_kind_and_day(clock: Any) -> None:
    user = make_user(1_000)
    for _ in range(3):
        user.spend_credits_on("report")
    (line,) = usage_summary(user).lines
    assert (line.spent, line.charges) == (75, 3)


@pytest.mark.parametrize(
    ("since", "until", "spent"),
    [
        (FIRST, SECOND, 43),
        (SECOND, None, 25),
        (None, SECOND, 43),
        (NOON, NOON + days(1), 43),
        (NOON + days(1), NOON + days(2), 25),
        (NOON + days(2), None, 0),
    ],
)
def test_since_counts_and_until_does_not(user: User, since: Any, until: Any, spent: int) -> None:
    assert usage_summary(user, since=since, until=until).spent == spent
    keyed = usage_summary(user, since=since, until=until).by_key.get("key_1", 0)
    assert key_spend("key_1", owner=user, since=since, until=until) == keyed


def test_days_are_those_of_utc(clock: Any) -> None:
    user = make_user(100)
    clock.move_to(datetime.datetime(2026, 3, 1, 23, 59, tzinfo=datetime.UTC))
    with timezone.override("Asia/Tokyo"):
        user.spend_credits_on("report")
        assert usage_summary(user).by_day == {FIRST: 25}


def test_what_was_not_used_is_no_usage(user: User, clock: Any) -> None:
    before = usage_summary(user)
    wallet = user.wallet()
    wallet.credit(10, expires_at=NOON + days(2))
    clock.shift(days(5))
    other = make_user(50)
    wallet.transfer_to(other.wallet(), 100)
    other.wallet().transfer_to(wallet, 10).reverse()
    wallet.credit(5).reverse()
    wallet.hold(5).release()
    assert usage_summary(user) == before
    assert usage_summary(other) == UsageSummary(())


def test_what_was_reversed_is_left_out_as_of_the_day_it_was_charged(user: User, clock: Any) -> None:
    clock.shift(days(9))
    first, second = user.credit_history.filter(attributed_to="key_1")
    first.reverse()
    summary = usage_summary(user)
    assert summary.by_day == {FIRST: 18, SECOND: 25}
    assert summary.by_operation == {"report": 25, "img": 11, None: 7}
    assert summary.by_key == {"key_1": 25, "key_2": 11, None: 7}
    assert key_spend("key_1", owner=user) == 25
    assert key_spend("key_1", owner=user, until=SECOND) == 0
    second.reverse()
    assert "key_1" not in usage_summary(user).by_key


def test_captures_count_for_their_operation_and_key(clock: Any) -> None:
    user = make_user(100)
    hold: Any = user.hold_credits_for("report", attributed_to="key_1")
    hold.capture(amount=20)
    assert usage_summary(user).by_operation == {"report": 20}
    assert key_spend("key_1", owner=user) == 20


def test_assets_are_apart(user: User) -> None:
    user.wallet("gems").credit(10)
    user.wallet("gems").debit(4, attributed_to="key_1")
    assert usage_summary(user, asset="gems").by_key == {"key_1": 4}
    assert key_spend("key_1", owner=user, asset="gems") == 4
    assert key_spend("key_1", wallet=user.wallet("gems")) == 4
    assert key_spend("key_1", asset="gems") == 4
    assert key_spend("key_1") == 50


def test_no_wallet_no_usage() -> None:
    user = make_user()
    user.wallet().delete()
    assert usage_summary(user) == UsageSummary(())
    assert key_spend("key_1", owner=user) == 0


def test_operation_of_any_name(clock: Any) -> None:
    user = make_user(100)
    with configured(OPERATIONS=[Operation("null", costs=credits(1)), Operation("7", costs=credits(2))]):
        user.spend_credits_on("null")
        user.spend_credits_on("7")
    assert usage_summary(user).by_operation == {"null": 1, "7": 2}


@pytest.mark.behaviour("SUL-19", "SUL-20")
def test_key_spend_sums_what_was_attributed_to_the_key() -> None:
    user = make_user(100)
    wallet = user.wallet()
    wallet.credit(60, metadata={"attributed_to": "key_1"}, idempotency_key="key_1")
    wallet.debit(15, attributed_to="key_1")
    for _ in range(2):
        wallet.debit(25, attributed_to="key_1", idempotency_key="job")
    wallet.debit(1, attributed_to="Key_1")
    wallet.debit(1)
    assert key_spend("key_1", wallet=wallet) == 40
    assert key_spend("key_1", owner=user) == 40
    assert key_spend("key_2", owner=user) == 0
    other = make_user(10)
    other.wallet().debit(5, attributed_to="key_1")
    assert key_spend("key_1", owner=user) == 40
    assert key_spend("key_1") == 45


@pytest.mark.parametrize("options", [{"since": "today"}, {"until": datetime.datetime(2026, 1, 1)}])
def test_refuse_what_is_no_moment(options: Any) -> None:
    user = make_user()
    (field,) = options
    for report in (lambda: usage_summary(user, **options), lambda: key_spend("key_1", owner=user, **options)):
        with pytest.raises(InvalidValue) as refusal:
            report()
        assert refusal.value.field == field


def test_refuse_a_wallet_and_an_owner_at_once() -> None:
    user = make_user()
    with pytest.raises(InvalidValue):
        key_spend("key_1", owner=user, wallet=user.wallet())
    with pytest.raises(InvalidValue):
        key_spend("key_1", asset="gems", wallet=user.wallet())
    with pytest.raises(InvalidValue):
        key_spend("")


def test_read_by_one_statement() -> None:
    user = make_user()
    add_history(user.wallet(), 1_000)
    usage_summary(user)
    for report in (lambda: usage_summary(user), lambda: key_spend("key_1", owner=user)):
        with CaptureQueriesContext(connection) as captured:
            report()
        assert len(captured) == 1
    assert usage_summary(user).spent == 500

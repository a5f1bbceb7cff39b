from __future__ import annotations

import datetime
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.app.models import User
from tests.factories import add_history, configured, days, make_user
from usage_credits import Operation, credits, key_spend, token_prices, token_rates, usage_summary
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


MODELS = {"small": (3, 15), "large": (30, 150)}
TOKENS = [
    Operation("chat", costs=token_rates(MODELS, every=1_000), provider_cost=token_prices(MODELS)),
    Operation(
        "dictate", costs=token_rates(MODELS, every=1_000), provider_cost=token_prices(MODELS, currency="eur")
    ),
]


@pytest.fixture
def talker(clock: Any) -> Iterator[User]:
    """A user: ada used small for 1.56 cents, bob used large for 15.6 cents and small for 15.6 euro cents."""
    with configured(OPERATIONS=TOKENS):
        user = make_user(1_000)
        user.record_usage(
            "chat", message="1", model="small", member="ada", input_tokens=1_200, output_tokens=800
        )
        user.record_usage(
            "chat", message="2", model="large", member="bob", input_tokens=1_200, output_tokens=800
        )
        user.spend_credits_on(
            "dictate", model="small", member="bob", input_tokens=12_000, output_tokens=8_000
        )
        user.wallet().debit(5)
        yield user


@pytest.mark.behaviour("TOK-16")
def test_sum_up_by_model_and_member_with_tokens_and_costs(talker: User) -> None:
    summary = usage_summary(talker)
    assert summary.by_model == {"small": 172, "large": 156, None: 5}
    assert summary.by_member == {"ada": 16, "bob": 312, None: 5}
    assert summary.tokens == 24_000
    assert summary.provider_costs == {"usd": Decimal("17.16"), "eur": Decimal("15.6")}
    assert set(summary.lines) == {
        UsageLine(FIRST, "credit_deducted", None, None, 5, 1),
        UsageLine(
            FIRST, "operation_charge", "chat", None, 16, 1, "small", "ada", 2_000, Decimal("1.56"), "usd"
        ),
        UsageLine(
            FIRST, "operation_charge", "chat", None, 156, 1, "large", "bob", 2_000, Decimal("15.6"), "usd"
        ),
        UsageLine(
            FIRST, "operation_charge", "dictate", None, 156, 1, "small", "bob", 20_000, Decimal("15.6"), "eur"
        ),
    }


def test_corrections_change_what_the_message_used(talker: User, clock: Any) -> None:
    clock.shift(days(3))
    use: dict[str, Any] = {"message": "1", "model": "small", "member": "ada"}
    talker.record_usage("chat", **use, input_tokens=1_200, output_tokens=2_000)
    talker.record_usage("chat", **use, input_tokens=1_200, output_tokens=100)
    talker.record_usage("chat", **use, input_tokens=200, output_tokens=100)
    summary = usage_summary(talker)
    assert summary.by_model["small"] == 156 + 3
    assert summary.tokens == 20_000 + 2_000 + 300
    assert summary.provider_costs["usd"] == Decimal("15.6") + Decimal("0.21")
    later = usage_summary(talker, since=SECOND)
    assert (later.spent, later.tokens) == (0, -700)


def test_reversal_takes_tokens_and_costs_out_of_the_report(talker: User, clock: Any) -> None:
    clock.shift(days(1))
    talker.record_usage("chat", message="2", model="large", member="bob", input_tokens=200, output_tokens=800)
    for row in talker.credit_history.operation_charges().filter(model="large"):
        row.reverse()
    summary = usage_summary(talker)
    assert (summary.by_model, summary.tokens) == ({"small": 172, None: 5}, 22_000)
    assert summary.provider_costs == {"usd": Decimal("1.56"), "eur": Decimal("15.6")}


def test_costs_of_many_small_uses_add_up_exactly(clock: Any) -> None:
    user = make_user(1_000)
    cheap = Operation("chat", costs=1, provider_cost=token_prices({"nano": {"input_tokens": 0.1}}))
    with configured(OPERATIONS=[cheap]):
        for _ in range(30):
            user.spend_credits_on("chat", model="nano", input_tokens=1)
    assert usage_summary(user).provider_costs == {"usd": Decimal("0.0003")}


@pytest.mark.behaviour("TOK-16")
@pytest.mark.parametrize("month", [datetime.date(2026, 3, 31), NOON])
def test_month_is_that_of_the_current_time_zone(clock: Any, month: Any) -> None:
    user = make_user(1_000)
    for moment in ("2026-02-28 14:59", "2026-02-28 15:00", "2026-03-31 14:59", "2026-03-31 15:00"):
        clock.move_to(datetime.datetime.fromisoformat(f"{moment}+00:00"))
        user.spend_credits_on("mail")
    assert usage_summary(user, month=month).spent == 2
    with timezone.override("Asia/Tokyo"):
        summary = usage_summary(user, month=month)
    assert summary.by_day == {datetime.date(2026, 2, 28): 1, datetime.date(2026, 3, 31): 1}
    assert usage_summary(user, month=datetime.date(2026, 12, 31)).lines == ()


@pytest.mark.parametrize(
    "options",
    [
        {"month": "2026-03"},
        {"month": 3},
        {"month": datetime.datetime(2026, 3, 1)},
        {"month": datetime.date.max},
        {"month": datetime.date.min},
        {"month": FIRST, "since": FIRST},
        {"month": FIRST, "until": FIRST},
    ],
    ids=str,
)
def test_refuse_what_is_no_month(options: Any) -> None:
    with pytest.raises(InvalidValue) as refusal:
        usage_summary(make_user(), **options)
    assert refusal.value.field == "month"


def test_names_are_apart_by_letter_case_and_spaces(clock: Any) -> None:
    user = make_user(100)
    for member in ("ada", "Ada", "ada ", "null", 7):
        user.spend_credits_on("mail", member=member, model="null")
    assert usage_summary(user).by_member == {"ada": 1, "Ada": 1, "ada ": 1, "null": 1, "7": 1}
    assert usage_summary(user).by_model == {"null": 5}

from __future__ import annotations

import datetime
from enum import Enum
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from tests import bad_values
from tests.app.models import User
from tests.factories import days, make_user, names, stored
from usage_credits import IdempotencyConflict, InvalidValue
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db


class Reason(Enum):
    SIGNUP = "signup"
    HOLIDAY = "holiday_bonus"


class Cause:
    def __str__(self) -> str:
        return "referral"


@pytest.mark.behaviour("GIV-01", "GIV-02", "GIV-03", "GIV-04", "GIV-05", "GIV-06")
@pytest.mark.parametrize(
    ("reason", "category", "kept"),
    [
        ("signup", "signup_bonus", "signup"),
        ("Signup", "signup_bonus", "Signup"),
        ("referral", "referral_bonus", "referral"),
        ("REFERRAL", "referral_bonus", "REFERRAL"),
        ("signups", "manual_adjustment", "signups"),
        ("referral ", "manual_adjustment", "referral "),
        ("holiday_bonus", "bonus", "holiday_bonus"),
        ("BONUS week", "bonus", "BONUS week"),
        ("signup_bonus", "bonus", "signup_bonus"),
        ("", "manual_adjustment", ""),
        ("anything else", "manual_adjustment", "anything else"),
        (Reason.SIGNUP, "signup_bonus", "signup"),
        (Reason.HOLIDAY, "bonus", "holiday_bonus"),
        (Cause(), "referral_bonus", "referral"),
        (7, "manual_adjustment", "7"),
    ],
)
def test_reason_chooses_the_category_and_is_kept(reason: Any, category: str, kept: str) -> None:
    row = make_user().give_credits(10, reason=reason)
    row.refresh_from_db()
    assert (row.category, row.metadata) == (category, {"reason": kept})


@pytest.mark.behaviour("GIV-05")
def test_grant_without_reason_keeps_none() -> None:
    row = make_user().give_credits(10)
    assert (row.category, row.metadata) == ("manual_adjustment", {})


@pytest.mark.behaviour("GIV-07", "GIV-08", "CRE-08", "CRE-09")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("amount", value) for value in bad_values.AMOUNTS),
        *(("metadata", value) for value in bad_values.METADATA),
        *(("idempotency_key", value) for value in bad_values.KEYS),
        *(("expires_at", value) for value in bad_values.EXPIRIES),
        *(("reason", value) for value in ("nul\x00", "half \ud800")),
    ],
    ids=bad_values.named,
)
def test_grant_refuses_bad_input_and_writes_nothing(field: str, value: Any) -> None:
    user = make_user(5)
    before = stored()
    arguments: dict[str, Any] = {"amount": 10, "reason": "signup", "idempotency_key": "once"}
    with capture_events() as events, pytest.raises(InvalidValue) as refusal:
        user.give_credits(**(arguments | {field: value}))
    assert refusal.value.field == field
    assert stored() == before
    assert events == []
    assert not user.give_credits(**arguments).replayed


@pytest.mark.behaviour("GIV-08")
@time_machine.travel("2026-01-01", tick=False)
@pytest.mark.parametrize("passed", [days(0), days(1)])
def test_grant_needs_an_expiry_in_the_future(passed: datetime.timedelta) -> None:
    user = make_user()
    with pytest.raises(InvalidValue, match="future"):
        user.give_credits(10, expires_at=timezone.now() - passed)
    assert list(user.credit_history) == []


@pytest.mark.behaviour("GIV-09", "GIV-10")
def test_grant_posts_one_row_and_announces_it() -> None:
    user = make_user(5)
    moment = timezone.now() + days(30)
    with capture_events() as events:
        row = user.give_credits(
            10, reason="referral", expires_at=moment, metadata={"by": "ada", "reason": "other"}
        )
    row.refresh_from_db()
    assert (row.amount, row.balance_before, row.balance_after, row.expires_at) == (10, 5, 15, moment)
    assert row.metadata == {"by": "ada", "reason": "referral"}
    assert list(user.credit_history)[-1] == row
    assert names(events) == ["credits_added"]
    assert (events[0].owner, events[0].transaction, events[0].amount) == (user, row, 10)


@pytest.mark.behaviour("DEC-17")
def test_grant_is_given_once_under_a_key() -> None:
    user = make_user()
    first = user.give_credits(10, reason="signup", idempotency_key="welcome")
    assert user.give_credits(10, reason="signup", idempotency_key="welcome") == first
    with pytest.raises(IdempotencyConflict):
        user.give_credits(10, reason="referral", idempotency_key="welcome")
    assert user.credits == 10


def test_refused_grant_creates_no_wallet() -> None:
    (user,) = User.objects.bulk_create([User(username="ada")])
    with pytest.raises(InvalidValue):
        user.give_credits(0)
    assert not user.has_wallet()

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.db import connection

from tests.billing.fulfilling import (
    START,
    amounts_awarded,
    at,
    fulfill,
    make_grant,
    make_subscription,
    refusing,
)
from tests.factories import amounts_of, configured, make_wallet, names
from usage_credits.billing.fulfillment import Fulfilled
from usage_credits.ledger.verification import verify
from usage_credits.models import Fulfillment
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as clock:
        yield clock


@pytest.mark.behaviour("FUL-08", "FUL-12")
@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"kind": "gift"}, "unknown kind 'gift'"),
        ({"plan_name": ""}, "for the plan ''"),
        ({"kind": "credit_pack"}, "for the pack ''"),
        ({"kind": "manual"}, "names no amount: credits: got None"),
        ({"kind": "manual", "metadata": {"credits": "abc"}}, "got 'abc'"),
        ({"kind": "manual", "metadata": {"credits": "70"}}, "got '70'"),
        ({"kind": "manual", "metadata": {"credits": 0}}, "got 0"),
        ({"kind": "manual", "metadata": {"credits": -5}}, "got -5"),
        ({"kind": "manual", "metadata": {"credits": 1.5}}, "got 1.5"),
        ({"period": "whenever"}, "period: got 'whenever'"),
    ],
    ids=str,
)
def test_what_says_no_amount_is_refused_and_stays_due(columns: dict[str, Any], reason: str) -> None:
    wallet = make_wallet()
    fulfillment = make_subscription(wallet, **columns)
    assert fulfill() == Fulfilled(awarded=0, credits=0, failed=1, tried=1)
    assert amounts_of(wallet) == []
    fulfillment.refresh_from_db()
    assert reason in fulfillment.last_error
    assert fulfillment.due_date(START) == START


@pytest.mark.behaviour("FUL-12")
def test_one_that_fails_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    gone = [make_subscription(make_wallet(), "gone") for _ in range(2)]
    good = [make_subscription(make_wallet()) for _ in range(3)]
    with capture_events() as heard:
        assert fulfill(batch_size=2) == Fulfilled(awarded=3, credits=1500, failed=2, tried=5)
    assert [amounts_awarded(one) for one in gone + good] == [[], [], [500], [500], [500]]
    for fulfillment in gone:
        before = Fulfillment(**vars_of(fulfillment), last_error="")
        fulfillment.refresh_from_db()
        assert vars_of(fulfillment) == vars_of(before)
        assert fulfillment.due_date(START) == START
        assert f"The fulfillment {fulfillment.pk} was not awarded" in caplog.text
        (event,) = [one for one in heard if one.fulfillment == fulfillment]
        assert (event.event, event.reason) == ("fulfillment_failed", "refused")
        assert event.metadata == {"detail": fulfillment.last_error}


@pytest.mark.behaviour("FUL-12")
def test_unexpected_error_is_kept_with_the_one_that_met_it(caplog: pytest.LogCaptureFixture) -> None:
    good = [make_subscription(make_wallet()) for _ in range(2)]
    broken = make_subscription(make_wallet())
    good.append(make_subscription(make_wallet()))
    with connection.cursor() as cursor:
        # As somebody who writes to the tables might leave it: no mapping.
        cursor.execute("UPDATE usage_credits_fulfillment SET metadata = '[]' WHERE id = %s", [broken.pk])
    with capture_events() as heard:
        assert fulfill() == Fulfilled(awarded=3, credits=1500, failed=1, tried=4)
    assert [amounts_awarded(one) for one in good] == [[500]] * 3
    broken.refresh_from_db()
    assert broken.last_error.startswith("TypeError: ")
    assert broken.due_date(START) == START
    assert f"The fulfillment {broken.pk} was not awarded: TypeError" in caplog.text
    assert [one.reason for one in heard if one.event == "fulfillment_failed"] == ["error"]
    assert list(verify()) == []


@pytest.mark.behaviour("FUL-12")
def test_batch_that_the_database_refuses_is_done_one_by_one() -> None:
    fulfillments = [make_subscription(make_wallet()) for _ in range(3)]
    with connection.execute_wrapper(refusing("INSERT", "usage_credits_lot", times=1)):
        assert fulfill() == Fulfilled(awarded=3, credits=1500, failed=0, tried=3)
    assert [amounts_awarded(one) for one in fulfillments] == [[500]] * 3
    assert {one.last_error for one in Fulfillment.objects.all()} == {""}
    assert list(verify()) == []


@pytest.mark.behaviour("FUL-15")
def test_plan_that_has_gone_is_visible_and_awarded_once_when_it_returns(
    clock: time_machine.Traveller,
) -> None:
    wallet = make_wallet()
    fulfillment = make_subscription(wallet, "roll")
    with configured(SUBSCRIPTION_PLANS=[]), capture_events() as heard:
        for _ in range(3):
            assert fulfill().failed == 1
            clock.shift(60)
    assert names(heard) == ["fulfillment_failed"]
    fulfillment.refresh_from_db()
    assert fulfillment.last_error == (
        f"The fulfillment {fulfillment.pk} is for the plan 'roll', which SUBSCRIPTION_PLANS does not hold."
    )
    assert fulfill().awarded == 1
    assert fulfill() == Fulfilled()
    fulfillment.refresh_from_db()
    assert (fulfillment.last_error, fulfillment.next_fulfillment_at) == ("", at(2, 28))
    assert amounts_of(wallet) == [1000]


@pytest.mark.behaviour("FUL-24")
def test_one_that_fails_leaves_the_others_of_its_wallet() -> None:
    wallet = make_wallet()
    make_grant(wallet, 100)
    make_grant(wallet, "abc")
    make_grant(wallet, 2**63 - 1)
    make_grant(wallet, 200)
    assert fulfill() == Fulfilled(awarded=2, credits=300, failed=2, tried=4)
    assert wallet.balance == 300
    assert list(verify()) == []


def vars_of(fulfillment: Fulfillment) -> dict[str, Any]:
    """Return the columns but the last error."""
    names = [field.attname for field in Fulfillment._meta.concrete_fields if field.name != "last_error"]
    return {name: getattr(fulfillment, name) for name in names}

from __future__ import annotations

import datetime
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from tests.billing.fulfilling import START, at, make_grant, make_subscription
from tests.factories import make_wallet
from usage_credits.models import Fulfillment, FulfillmentKind

pytestmark = pytest.mark.django_db

MINUTE = datetime.timedelta(minutes=1)


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(START, tick=False) as clock:
        yield clock


@pytest.mark.behaviour("FUL-01")
def test_fulfillment_keeps_what_was_sold_and_its_schedule() -> None:
    wallet = make_wallet()
    columns = {
        "source": "stripe",
        "source_id": "sub:sub_1",
        "kind": FulfillmentKind.SUBSCRIPTION,
        "credits_last_awarded": 500,
        "period": "P1M",
        "last_fulfilled_at": START,
        "next_fulfillment_at": at(2, 28),
        "stops_at": at(3, 31),
        "metadata": {"subscription_id": "sub_1"},
    }
    pk = Fulfillment.objects.create(wallet=wallet, **columns).pk
    stored = Fulfillment.objects.get(pk=pk)
    assert stored.wallet == wallet
    assert {name: getattr(stored, name) for name in columns} == columns
    assert FulfillmentKind.values == ["credit_pack", "subscription", "manual"]


@pytest.mark.behaviour("FUL-01")
def test_source_is_fulfilled_once_where_there_is_one() -> None:
    wallet, other = make_wallet(), make_wallet()
    make_subscription(wallet, source="stripe", source_id="sub:sub_1")
    make_subscription(wallet, source="stripe", source_id="sub:sub_A")
    make_subscription(wallet, source="stripe", source_id="sub:sub_a")
    make_grant(wallet)
    make_grant(wallet)
    with pytest.raises(IntegrityError), transaction.atomic():
        make_subscription(other, source="stripe", source_id="sub:sub_1")
    assert Fulfillment.objects.count() == 5


@pytest.mark.behaviour("FUL-02")
def test_fulfillment_recurs_with_a_period_and_is_active_until_it_stops(clock: Any) -> None:
    assert Fulfillment(period="P1M").is_recurring
    assert not Fulfillment().is_recurring
    wallet = make_wallet()
    endless = make_subscription(wallet)
    stopping = make_subscription(wallet, stops_at=START + MINUTE)
    stopped = make_subscription(wallet, stops_at=START)
    assert [one.is_active for one in (endless, stopping, stopped)] == [True, True, False]
    assert list(Fulfillment.objects.active().order_by("pk")) == [endless, stopping]
    clock.shift(MINUTE)
    assert list(Fulfillment.objects.active()) == [endless]


@pytest.mark.behaviour("FUL-03")
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"wallet": None}, "wallet"),
        ({"kind": ""}, "kind"),
        ({"kind": "gift"}, "kind"),
        ({"credits_last_awarded": None}, "credits_last_awarded"),
        ({"credits_last_awarded": 1.5}, "credits_last_awarded"),
        ({"credits_last_awarded": "many"}, "credits_last_awarded"),
        ({"period": "whenever"}, "period"),
        ({"last_fulfilled_at": at(2, 28)}, "next_fulfillment_at"),
        ({"last_fulfilled_at": at(3, 31)}, "next_fulfillment_at"),
        ({"next_fulfillment_at": START}, "next_fulfillment_at"),
        ({"next_fulfillment_at": at(1, 1)}, "next_fulfillment_at"),
    ],
    ids=str,
)
def test_new_fulfillment_without_its_due_is_invalid(changes: dict[str, Any], field: str, clock: Any) -> None:
    columns = {
        "wallet": make_wallet(),
        "kind": "subscription",
        "period": "P1M",
        "next_fulfillment_at": at(2, 28),
    }
    Fulfillment(**columns).clean()
    with pytest.raises(ValidationError) as refusal:
        Fulfillment(**(columns | changes)).clean()
    assert set(refusal.value.message_dict) == {field}


@pytest.mark.behaviour("FUL-03")
def test_stored_fulfillment_may_be_due_when_it_recurs_and_never_again_when_it_does_not(clock: Any) -> None:
    wallet = make_wallet()
    make_subscription(wallet).clean()
    make_subscription(wallet, next_fulfillment_at=None).clean()
    make_grant(wallet, next_fulfillment_at=None).clean()
    Fulfillment(wallet=wallet, kind="manual", next_fulfillment_at=START).clean()
    with pytest.raises(ValidationError) as refusal:
        make_grant(wallet).clean()
    assert set(refusal.value.message_dict) == {"next_fulfillment_at"}


@pytest.mark.behaviour("FUL-04", "FUL-05")
@pytest.mark.parametrize(
    ("columns", "is_due"),
    [
        ({}, True),
        ({"next_fulfillment_at": START - MINUTE}, True),
        ({"next_fulfillment_at": START + MINUTE}, False),
        ({"next_fulfillment_at": None}, False),
        ({"next_fulfillment_at": None, "anchor": None}, False),
        ({"stops_at": START}, False),
        ({"stops_at": START + MINUTE}, True),
        ({"last_fulfilled_at": START - MINUTE}, True),
        ({"last_fulfilled_at": START}, False),
        ({"last_fulfilled_at": START + MINUTE}, False),
    ],
    ids=str,
)
def test_due_when_the_next_date_has_come_and_lies_before_the_stop(
    columns: dict[str, Any], is_due: bool
) -> None:
    fulfillment = make_subscription(make_wallet(), **columns)
    assert fulfillment.due_date(START) == (fulfillment.next_fulfillment_at if is_due else None)
    assert Fulfillment.objects.due(START).exists() is is_due


@pytest.mark.behaviour("DEC-15")
def test_date_before_a_stop_that_has_passed_is_still_due() -> None:
    fulfillment = make_subscription(make_wallet(), stops_at=START + MINUTE)
    assert fulfillment.due_date(at(6, 1)) == START
    assert Fulfillment.objects.due(at(6, 1)).get() == fulfillment

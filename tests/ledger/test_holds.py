from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.db import models

from tests import bad_values
from tests.app.models import User
from tests.factories import (
    add_lots,
    amounts_of,
    configured,
    days,
    lot_of,
    make_user,
    make_wallet,
    names,
    payments_of,
    remaining_of,
    stored,
)
from usage_credits import (
    HoldNotOpen,
    IdempotencyConflict,
    InsufficientCredits,
    InvalidAmount,
    InvalidValue,
    with_credits,
)
from usage_credits.ledger.expiry import book_expired, count_expired
from usage_credits.ledger.verification import verify
from usage_credits.models import HeldLot, Hold, Wallet
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db

START = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as traveller:
        yield traveller
    assert list(verify()) == []


def figures_of(wallet: Wallet) -> tuple[int, int, int]:
    return wallet.balance, wallet.held, wallet.available


def projections_of(wallet: Wallet) -> tuple[int, int, int]:
    found = Wallet.objects.get(pk=wallet.pk)
    return found.booked_balance, found.booked_held, found.debt


def expire() -> None:
    for _ in book_expired():
        pass


@pytest.mark.behaviour("DEC-02")
def test_hold_keeps_credits_from_being_spent_and_leaves_the_ledger_alone() -> None:
    user = make_user(100)
    wallet = user.wallet()
    held = wallet.hold(60)
    assert figures_of(wallet) == (100, 60, 40)
    assert user.credits == 40
    users: models.QuerySet[Any] = User.objects.filter(pk=user.pk)
    assert with_credits(users).get().credits_now == 40
    assert (held.amount, held.left, held.is_open, held.expires_at) == (60, 60, True, START + HOUR)
    assert amounts_of(wallet) == [100]
    with pytest.raises(InsufficientCredits) as refusal:
        wallet.debit(41)
    assert refusal.value.available == 40
    wallet.debit(40)
    assert figures_of(wallet) == (60, 60, 0)


def test_capture_charges_all_that_is_held() -> None:
    wallet = make_wallet(100)
    held = wallet.hold(60, metadata={"job": 1}, attributed_to="key_1")
    row = held.capture()
    assert (row.amount, row.category, row.hold) == (-60, "operation_charge", held)
    assert (row.metadata, row.attributed_to) == ({"job": 1}, "key_1")
    assert (row.balance_before, row.balance_after) == (100, 40)
    assert (held.captured, held.left, held.is_open) == (60, 0, False)
    assert figures_of(wallet) == (40, 0, 40)
    assert not HeldLot.objects.exists()


def test_hold_and_captures_follow_the_spending_order() -> None:
    wallet = make_wallet(10)
    soon, later = (
        lot_of(wallet.credit(10, expires_at=START + days(1))),
        lot_of(wallet.credit(10, expires_at=START + days(2))),
    )
    forever = wallet.lots.get(expires_at=None)
    held = wallet.hold(25)
    assert remaining_of(wallet) == [5, 0, 0]
    first = held.capture(12)
    assert payments_of(first) == [(soon.pk, 10), (later.pk, 2)]
    assert payments_of(held.capture()) == [(later.pk, 8), (forever.pk, 5)]


def test_partial_captures_leave_the_hold_open_until_nothing_is_left() -> None:
    wallet = make_wallet(100)
    held = wallet.hold(60)
    for left in (40, 20):
        held.capture(20)
        assert (held.is_open, held.left, wallet.held) == (True, left, left)
    held.capture(20)
    assert (held.is_open, held.captured, wallet.held) == (False, 60, 0)
    assert amounts_of(wallet) == [100, -20, -20, -20]


def test_final_capture_gives_back_what_is_left() -> None:
    wallet = make_wallet(100)
    held = wallet.hold(60)
    held.capture(45, final=True)
    assert (held.is_open, held.left) == (False, 0)
    assert figures_of(wallet) == (55, 0, 55)
    assert remaining_of(wallet) == [55]


def test_capture_of_more_takes_the_rest_from_the_wallet() -> None:
    wallet = make_wallet(100)
    held = wallet.hold(60)
    row = held.capture(80)
    assert sum(amount for _lot, amount in payments_of(row)) == 80
    assert (held.captured, held.is_open) == (80, False)
    assert figures_of(wallet) == (20, 0, 20)


@pytest.mark.parametrize("negatives", [True, False])
def test_capture_of_more_than_there_is_leaves_the_hold_untouched(negatives: bool) -> None:
    wallet = make_wallet(100)
    held, before = wallet.hold(60), None
    wallet.hold(30)
    before = stored()
    with (
        configured(ALLOW_NEGATIVE_BALANCE=negatives),
        capture_events() as events,
        pytest.raises(InsufficientCredits) as refusal,
    ):
        held.capture(71)
    assert (refusal.value.available, refusal.value.required) == (70, 71)
    assert names(events) == ["insufficient_credits"]
    assert stored() == before
    assert held.capture(70).amount == -70


@pytest.mark.parametrize("negatives", [True, False])
def test_hold_never_goes_below_zero(negatives: bool) -> None:
    wallet = make_wallet(100)
    before = stored()
    with (
        configured(ALLOW_NEGATIVE_BALANCE=negatives),
        capture_events() as events,
        pytest.raises(InsufficientCredits) as refusal,
    ):
        wallet.hold(101)
    assert (refusal.value.available, refusal.value.required) == (100, 101)
    assert names(events) == ["insufficient_credits"]
    assert stored() == before


def test_release_gives_each_part_back_to_its_lot() -> None:
    wallet = make_wallet(10)
    wallet.credit(10, expires_at=START + days(1))
    before = list(wallet.lots.order_by("pk").values())
    held = wallet.hold(15)
    held.capture(5)
    held.release()
    assert (held.is_open, held.left, held.captured) == (False, 0, 5)
    before[1]["remaining"] = 5
    assert list(wallet.lots.order_by("pk").values()) == before
    assert amounts_of(wallet) == [10, 10, -5]
    assert figures_of(wallet) == (15, 0, 15)


def test_closed_hold_is_refused() -> None:
    wallet = make_wallet(100)
    captured, released = wallet.hold(10), wallet.hold(10)
    captured.capture()
    released.release()
    before = stored()
    for held in (captured, released):
        for act in (held.capture, held.extend, held.release):
            with pytest.raises(HoldNotOpen):
                act()
    assert stored() == before


def test_stale_instance_sees_what_the_database_holds() -> None:
    wallet = make_wallet(100)
    held = wallet.hold(60)
    stale = Hold.objects.get(pk=held.pk)
    held.capture(50)
    assert stale.capture().amount == -10
    with pytest.raises(HoldNotOpen):
        held.capture()


@pytest.mark.behaviour("DEC-02")
def test_pinned_lot_does_not_expire_and_is_captured_after_its_expiry(clock: Any) -> None:
    wallet = make_wallet(5)
    lot = lot_of(wallet.credit(100, expires_at=START + HOUR))
    held = wallet.hold(60, ttl=days(1))
    clock.shift(2 * HOUR)
    assert figures_of(wallet) == (65, 60, 5)
    expire()
    assert figures_of(wallet) == (65, 60, 5)
    assert amounts_of(wallet) == [5, 100, -40]
    assert payments_of(held.capture(50)) == [(lot.pk, 50)]
    assert figures_of(wallet) == (15, 10, 5)


def test_what_is_released_after_its_expiry_is_gone_at_once(clock: Any) -> None:
    wallet = make_wallet(5)
    wallet.credit(100, expires_at=START + HOUR)
    held = wallet.hold(60, ttl=days(1))
    clock.shift(2 * HOUR)
    with capture_events() as events:
        held.release()
    assert figures_of(wallet) == (5, 0, 5)
    assert amounts_of(wallet) == [5, 100, -40, -60]
    assert names(events) == ["credits_expired", "credits_expired", "hold_released"]


@pytest.mark.parametrize("end", ["capture", "release"])
def test_balance_of_a_past_moment_counts_what_was_held_then(clock: Any, end: str) -> None:
    wallet = make_wallet(5)
    wallet.credit(100, expires_at=START + HOUR)
    held = wallet.hold(60, ttl=days(1))
    clock.shift(2 * HOUR)
    past = START + 1.5 * HOUR
    assert wallet.balance_at(past) == wallet.balance == 65
    clock.shift(HOUR)
    getattr(held, end)()
    clock.shift(HOUR)
    assert wallet.balance_at(past) == 65
    assert wallet.balance_at(START) == 105
    assert wallet.balance == 5


@pytest.mark.parametrize("write", ["credit", "debit", "hold", "expire"])
def test_any_write_releases_what_ran_out(clock: Any, write: str) -> None:
    wallet = make_wallet(100)
    wallet.credit(10, expires_at=START + HOUR / 2)
    held = wallet.hold(60)
    clock.shift(HOUR)
    assert figures_of(wallet) == (110, 60, 50)
    with capture_events() as events:
        if write == "expire":
            assert count_expired().holds == 1
            expire()
        else:
            getattr(wallet, write)(70)
    assert wallet.held == (70 if write == "hold" else 0)
    assert wallet.balance == {"credit": 170, "debit": 30}.get(write, 100)
    (released,) = (context for context in events if context.event == "hold_released")
    assert (released.hold, released.amount, released.reason) == (held, 60, "expired")
    for act in (held.capture, held.extend, held.release):
        with pytest.raises(HoldNotOpen):
            act()


def test_hold_that_ran_out_cannot_be_captured_but_released(clock: Any) -> None:
    wallet = make_wallet(100)
    held = wallet.hold(60)
    clock.shift(HOUR)
    before = stored()
    for act in (held.capture, held.extend):
        with pytest.raises(HoldNotOpen):
            act()
    assert stored() == before
    held.release()
    assert (held.is_open, figures_of(wallet)) == (False, (100, 0, 100))


def test_extended_hold_lasts_longer_and_never_shorter(clock: Any) -> None:
    wallet = make_wallet(100)
    held = wallet.hold(60)
    clock.shift(HOUR / 2)
    assert held.extend().expires_at == START + 1.5 * HOUR
    assert held.extend(HOUR / 4).expires_at == START + 1.5 * HOUR
    assert held.extend(2 * HOUR).expires_at == START + 2.5 * HOUR
    assert held.extend(until=START + days(1)).expires_at == START + days(1)
    clock.shift(4 * HOUR)
    assert held.capture().amount == -60


@pytest.mark.parametrize(
    "options",
    [
        {"ttl": datetime.timedelta(0)},
        {"ttl": 60},
        {"ttl": datetime.timedelta.max},
        {"until": START},
        {"until": datetime.datetime(2027, 1, 1)},
        {"ttl": HOUR, "until": START + days(1)},
    ],
    ids=str,
)
def test_extend_refuses_what_is_no_time_to_come(options: Any) -> None:
    held = make_wallet(100).hold(60)
    before = stored()
    with pytest.raises(InvalidValue):
        held.extend(**options)
    assert stored() == before


@pytest.mark.parametrize("ttl", [datetime.timedelta(0), -HOUR, 60, "1 hour", datetime.timedelta.max], ids=str)
def test_hold_refuses_what_is_no_duration(ttl: Any) -> None:
    wallet = make_wallet(100)
    with pytest.raises(InvalidValue) as refusal:
        wallet.hold(5, ttl=ttl)
    assert refusal.value.field == "ttl"


@pytest.mark.parametrize("amount", [0, -1, 1.5, True, "5", None], ids=str)
def test_hold_and_capture_refuse_what_is_no_amount(amount: Any) -> None:
    wallet = make_wallet(100)
    held = wallet.hold(5)
    with pytest.raises(InvalidAmount):
        wallet.hold(amount)
    if amount is not None:
        with pytest.raises(InvalidAmount):
            held.capture(amount)


def test_hold_ttl_comes_from_settings() -> None:
    wallet = make_wallet(100)
    with configured(HOLD_TTL=2 * HOUR):
        assert wallet.hold(5).expires_at == START + 2 * HOUR
    assert wallet.hold(5, ttl=3 * HOUR).expires_at == START + 3 * HOUR


def test_hold_with_a_key_is_placed_once() -> None:
    wallet = make_wallet(100)
    first = wallet.hold(60, idempotency_key="job")
    again = wallet.hold(60, idempotency_key="job")
    assert (again, again.replayed, first.replayed, wallet.held) == (first, True, False, 60)
    first.release()
    assert wallet.hold(60, idempotency_key="job").is_open is False
    for amount, category in ((61, None), (60, "credit_deducted")):
        with pytest.raises(IdempotencyConflict):
            wallet.hold(amount, category=category, idempotency_key="job")


def test_capture_with_a_key_charges_once() -> None:
    wallet = make_wallet(100)
    held = wallet.hold(60)
    row = held.capture(20, idempotency_key="part 1")
    again = held.capture(20, idempotency_key="part 1")
    assert (again, again.replayed, held.left) == (row, True, 40)
    with pytest.raises(IdempotencyConflict):
        held.capture(21, idempotency_key="part 1")
    last = held.capture(idempotency_key="rest")
    assert held.capture(idempotency_key="rest") == last
    with pytest.raises(IdempotencyConflict):
        wallet.hold(10).capture(idempotency_key="rest")
    assert amounts_of(wallet) == [100, -20, -40]


def test_events_tell_what_became_of_a_hold() -> None:
    wallet = make_wallet(100)
    with capture_events() as events:
        held = wallet.hold(60, metadata={"job": 1})
        row = held.capture(20)
        held.capture(10, final=True)
        wallet.hold(5).release()
    assert names(events) == [
        "hold_placed",
        "credits_deducted",
        "hold_captured",
        "credits_deducted",
        "hold_captured",
        "hold_released",
        "hold_placed",
        "hold_released",
    ]
    placed, captured, left = events[0], events[2], events[5]
    assert (placed.hold, placed.amount, placed.wallet, placed.metadata) == (held, 60, wallet, {"job": 1})
    assert (captured.hold, captured.amount, captured.transaction) == (held, 20, row)
    assert (left.amount, left.reason) == (30, "captured")
    assert events[7].reason == "released"


def test_overdraft_leaves_what_is_held_to_the_hold() -> None:
    wallet = make_wallet(100)
    held, other = wallet.hold(60), wallet.hold(10)
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        wallet.debit(50)
    assert figures_of(wallet) == (50, 70, 0)
    other.release()
    assert (Wallet.objects.get(pk=wallet.pk).debt, remaining_of(wallet)) == (10, [0])
    held.capture()
    assert figures_of(wallet) == (-10, 0, 0)
    wallet.credit(10)
    assert figures_of(wallet) == (0, 0, 0)


def test_what_expires_under_a_debt_shows_the_debt(clock: Any) -> None:
    wallet = make_wallet()
    wallet.credit(100, expires_at=START + HOUR)
    held = wallet.hold(60, ttl=days(1))
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        wallet.debit(100)
    clock.shift(2 * HOUR)
    assert wallet.balance == 0
    held.release()
    assert wallet.balance == -60


def test_a_hundred_rounds_leave_no_trace() -> None:
    wallet = make_wallet()
    add_lots(wallet, 20, expires_in=days(30))
    lots = list(wallet.lots.order_by("pk").values())
    before = projections_of(wallet)
    for _ in range(100):
        wallet.hold(15).release()
    assert list(wallet.lots.order_by("pk").values()) == lots
    assert projections_of(wallet) == before
    assert not HeldLot.objects.exists()
    assert wallet.history().count() == 20


def test_hold_of_an_unsaved_or_unknown_wallet_is_refused() -> None:
    with pytest.raises(InvalidValue):
        Wallet().hold(5)


@pytest.mark.parametrize("metadata", bad_values.METADATA, ids=bad_values.named)
def test_hold_and_capture_refuse_metadata_that_json_cannot_keep(metadata: Any) -> None:
    wallet = make_wallet(100)
    held = wallet.hold(5)
    for act in (lambda: wallet.hold(5, metadata=metadata), lambda: held.capture(metadata=metadata)):
        with pytest.raises(InvalidValue):
            act()

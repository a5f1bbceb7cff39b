from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from dateutil.relativedelta import relativedelta
from django.db import transaction

from tests.app.models import Studio
from tests.factories import configured, days, make_user, make_wallet, stored
from usage_credits import (
    CapExceeded,
    IdempotencyConflict,
    InsufficientCredits,
    InvalidAmount,
    InvalidOperation,
    InvalidValue,
    Operation,
    UsageCreditsError,
    detach_owner,
)
from usage_credits.ledger.caps import CapStatus
from usage_credits.ledger.verification import verify
from usage_credits.models import SpendingCap, Transaction, Wallet
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db


def at(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC)


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    """A Wednesday noon; afterwards the ledger is sound, whatever the test did."""
    with time_machine.travel(at("2026-01-14 12:00"), tick=False) as clock:
        yield clock
        assert list(verify()) == []


@pytest.fixture
def wallet() -> Wallet:
    return make_wallet(1_000)


def status(wallet: Wallet, key: str = "key") -> CapStatus:
    (cap,) = wallet.caps(key)
    return cap


def refusal_of(wallet: Wallet, amount: int, key: str = "key") -> CapExceeded:
    """Return why `amount` cannot be spent, which writes nothing."""
    before = stored()
    with pytest.raises(CapExceeded) as refused:
        wallet.debit(amount, attributed_to=key)
    assert stored() == before
    return refused.value


def test_spend_up_to_the_limit_and_be_told_what_is_left_and_until_when(wallet: Wallet) -> None:
    cap = wallet.set_cap("key", 100, every="day")
    assert (cap.wallet, cap.attributed_to, cap.limit, cap.every) == (wallet, "key", 100, "P1D")
    wallet.debit(60, attributed_to="key")
    refusal = refusal_of(wallet, 41)
    assert vars(refusal) == {
        "attributed_to": "key",
        "every": "P1D",
        "limit": 100,
        "left": 40,
        "required": 41,
        "resets_at": at("2026-01-15"),
    }
    assert str(refusal) == (
        "41 credits are required, 'key' may spend 40 more of its 100 until 2026-01-15T00:00:00+00:00."
    )
    assert not isinstance(refusal, InsufficientCredits)
    wallet.debit(40, attributed_to="key")
    assert refusal_of(wallet, 1).left == 0
    assert status(wallet) == CapStatus("key", "P1D", 100, 100, 0, 0, at("2026-01-15"))


def test_leave_other_keys_debits_of_nobody_and_other_wallets_alone(wallet: Wallet) -> None:
    wallet.set_cap("key", 0, every="day")
    other = make_wallet(10)
    for key in (None, "other", "Key", "key ", "kéy"):
        wallet.debit(5, attributed_to=key)
    other.debit(5, attributed_to="key")
    assert refusal_of(wallet, 1).limit == 0


def test_tell_keys_apart_by_case(wallet: Wallet) -> None:
    wallet.set_cap("KEY", 5, every="day")
    wallet.set_cap("key", 7, every="day")
    wallet.debit(5, attributed_to="KEY")
    assert [(cap.attributed_to, cap.left) for cap in wallet.caps()] == [("KEY", 0), ("key", 7)]
    assert wallet.remove_cap("KEY") == 1
    assert [cap.attributed_to for cap in wallet.caps()] == ["key"]


@pytest.mark.parametrize(
    ("every", "last", "first"),
    [
        ("hour", "2026-01-14 12:59:59.999999", "2026-01-14 13:00"),
        ("day", "2026-01-14 23:59:59.999999", "2026-01-15"),
        ("week", "2026-01-18 23:59:59", "2026-01-19"),
        ("2 weeks", "2026-01-25 23:59:59", "2026-01-26"),
        ("month", "2026-01-31 23:59:59", "2026-02-01"),
        ("quarter", "2026-03-31 23:59:59", "2026-04-01"),
        ("P1Y", "2026-12-31 23:59:59", "2027-01-01"),
        (datetime.timedelta(minutes=10), "2026-01-14 12:09:59", "2026-01-14 12:10"),
        (relativedelta(days=1), "2026-01-14 23:59:59", "2026-01-15"),
    ],
)
def test_windows_are_those_of_the_calendar(
    wallet: Wallet, clock: time_machine.Traveller, every: Any, last: str, first: str
) -> None:
    wallet.set_cap("key", 100, every=every)
    wallet.debit(100, attributed_to="key")
    clock.move_to(at(last))
    assert refusal_of(wallet, 1).resets_at == at(first)
    clock.move_to(at(first))
    assert (status(wallet).spent, status(wallet).left) == (0, 100)
    wallet.debit(100, attributed_to="key")
    assert refusal_of(wallet, 1).left == 0


def test_windows_that_nobody_spent_in_are_skipped(wallet: Wallet, clock: time_machine.Traveller) -> None:
    wallet.set_cap("key", 100, every="day")
    wallet.debit(80, attributed_to="key")
    clock.shift(days(40))
    wallet.debit(30, attributed_to="key")
    assert (status(wallet).spent, status(wallet).resets_at) == (30, at("2026-02-24"))


def test_clock_that_steps_back_opens_no_window_again(wallet: Wallet, clock: time_machine.Traveller) -> None:
    wallet.set_cap("key", 100, every="day")
    clock.move_to(at("2026-01-15 00:00:01"))
    wallet.debit(70, attributed_to="key")
    clock.move_to(at("2026-01-14 23:59:59"))
    wallet.debit(20, attributed_to="key")
    refusal = refusal_of(wallet, 11)
    assert (refusal.left, refusal.resets_at) == (10, at("2026-01-16"))
    assert status(wallet).spent == 90
    assert list(verify()) == []
    clock.move_to(at("2026-01-15 00:00:02"))
    assert refusal_of(wallet, 11).left == 10


def test_several_caps_of_one_key_hold_at_once(wallet: Wallet, clock: time_machine.Traveller) -> None:
    wallet.set_cap("key", 50, every="day")
    wallet.set_cap("key", 120, every="month")
    for _ in range(2):
        wallet.debit(50, attributed_to="key")
        assert refusal_of(wallet, 1).every == "P1D"
        clock.shift(days(1))
    refusal = refusal_of(wallet, 21)
    assert (refusal.every, refusal.left, refusal.resets_at) == ("P1M", 20, at("2026-02-01"))
    wallet.debit(20, attributed_to="key")
    assert [(cap.every, cap.spent, cap.left) for cap in wallet.caps("key")] == [
        ("P1D", 20, 30),
        ("P1M", 120, 0),
    ]


def test_of_several_caps_that_refuse_name_the_one_that_resets_last(wallet: Wallet) -> None:
    wallet.set_cap("key", 50, every="month")
    wallet.set_cap("key", 5, every="day")
    assert (refusal_of(wallet, 51).every, refusal_of(wallet, 50).every) == ("P1M", "P1D")


def test_of_two_that_reset_at_once_name_the_one_that_leaves_less(
    wallet: Wallet, clock: time_machine.Traveller
) -> None:
    clock.move_to(at("2026-01-31 12:00"))
    wallet.set_cap("key", 5, every="day")
    wallet.set_cap("key", 50, every="month")
    wallet.debit(5, attributed_to="key")
    refusal = refusal_of(wallet, 50)
    assert (refusal.every, refusal.left, refusal.resets_at) == ("P1D", 0, at("2026-02-01"))


def test_new_cap_counts_what_was_spent_in_the_running_window(
    wallet: Wallet, clock: time_machine.Traveller
) -> None:
    wallet.debit(100, attributed_to="key")
    clock.shift(days(1))
    reversed_one = wallet.debit(7, attributed_to="key")
    wallet.debit(30, attributed_to="key")
    wallet.debit(300, attributed_to="other")
    wallet.debit(300)
    reversed_one.reverse()
    cap = wallet.set_cap("key", 50, every="day")
    assert cap.spent == 30
    assert wallet.set_cap("key", 500, every="month").spent == 130
    assert refusal_of(wallet, 21).left == 20


def test_cap_set_again_changes_its_limit_and_keeps_what_was_spent(wallet: Wallet) -> None:
    first = wallet.set_cap("key", 100, every="day")
    wallet.debit(60, attributed_to="key")
    second = wallet.set_cap("key", 70, every=datetime.timedelta(days=1))
    assert (second.pk, second.limit, second.spent) == (first.pk, 70, 60)
    assert refusal_of(wallet, 11).left == 10
    wallet.set_cap("key", 20, every="P1D")
    assert (refusal_of(wallet, 1).left, status(wallet).left) == (0, 0)
    assert SpendingCap.objects.count() == 1


def test_removed_cap_holds_nobody_back(wallet: Wallet) -> None:
    for every in ("day", "month"):
        wallet.set_cap("key", 5, every=every)
    wallet.set_cap("other", 5, every="day")
    assert wallet.remove_cap("key", "day") == 1
    assert [cap.every for cap in wallet.caps("key")] == ["P1M"]
    assert wallet.remove_cap("key", every="day") == 0
    assert wallet.remove_cap("key") == 1
    wallet.debit(500, attributed_to="key")
    assert refusal_of(wallet, 6, "other").left == 5
    assert [cap.attributed_to for cap in wallet.caps()] == ["other"]


def test_replay_is_found_first_and_never_refused(wallet: Wallet) -> None:
    wallet.set_cap("key", 10, every="day")
    row = wallet.debit(10, attributed_to="key", idempotency_key="once")
    held = {"attributed_to": "other", "idempotency_key": "once"}
    hold = wallet.hold(10, attributed_to="other", idempotency_key="once")
    wallet.set_cap("key", 0, every="day")
    wallet.set_cap("other", 0, every="day")
    again = wallet.debit(10, attributed_to="key", idempotency_key="once")
    assert (again.pk, again.replayed) == (row.pk, True)
    assert (wallet.hold(10, **held).pk, status(wallet).spent) == (hold.pk, 10)  # type: ignore[arg-type]
    with pytest.raises(IdempotencyConflict):
        wallet.debit(11, attributed_to="key", idempotency_key="once")


def test_cap_refuses_before_the_balance_does_and_nobody_is_told_to_buy_more() -> None:
    wallet = make_wallet(10)
    wallet.set_cap("key", 15, every="day")
    with capture_events() as heard:
        assert refusal_of(wallet, 16).left == 15
    assert heard == []
    with pytest.raises(InsufficientCredits):
        wallet.debit(15, attributed_to="key")
    assert status(wallet).spent == 0


def test_cap_holds_where_negatives_are_allowed() -> None:
    wallet = make_wallet(10)
    wallet.set_cap("key", 30, every="day")
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        wallet.debit(30, attributed_to="key")
        assert refusal_of(wallet, 1).left == 0
        assert wallet.balance == -20
        wallet.transactions.get(amount=-30).reverse()
        assert (status(wallet).left, wallet.balance) == (30, 10)


def test_callers_transaction_is_usable_after_a_refusal(wallet: Wallet) -> None:
    wallet.set_cap("key", 5, every="day")
    with transaction.atomic():
        with pytest.raises(CapExceeded):
            wallet.debit(6, attributed_to="key")
        wallet.debit(5, attributed_to="key")
    assert status(wallet).spent == 5


def test_transfers_do_not_count(wallet: Wallet) -> None:
    wallet.set_cap("key", 5, every="day")
    wallet.transfer_to(make_wallet(), 50)
    assert status(wallet).spent == 0


# Holds


def test_what_holds_keep_counts_as_long_as_they_are_open(wallet: Wallet) -> None:
    wallet.set_cap("key", 100, every="day")
    hold = wallet.hold(60, attributed_to="key")
    assert (status(wallet).spent, status(wallet).held, status(wallet).left) == (0, 60, 40)
    assert refusal_of(wallet, 41).left == 40
    before = stored()
    with pytest.raises(CapExceeded):
        wallet.hold(41, attributed_to="key")
    assert stored() == before
    wallet.hold(500, attributed_to="other")
    wallet.hold(10)
    hold.capture(20)
    assert (status(wallet).spent, status(wallet).held, status(wallet).left) == (20, 40, 40)
    hold.release()
    assert (status(wallet).spent, status(wallet).held, status(wallet).left) == (20, 0, 80)


def test_capture_of_what_is_held_is_not_refused(wallet: Wallet) -> None:
    wallet.set_cap("key", 100, every="day")
    hold = wallet.hold(60, attributed_to="key")
    wallet.set_cap("key", 10, every="day")
    hold.capture()
    assert (status(wallet).spent, status(wallet).left) == (60, 0)


def test_capture_beyond_its_hold_is_checked(wallet: Wallet) -> None:
    wallet.set_cap("key", 100, every="day")
    hold = wallet.hold(60, attributed_to="key")
    wallet.debit(30, attributed_to="key")
    before = stored()
    with pytest.raises(CapExceeded) as refused:
        hold.capture(71)
    assert (stored(), refused.value.left, refused.value.required) == (before, 10, 11)
    hold.capture(70)
    assert (status(wallet).spent, status(wallet).held) == (100, 0)


def test_hold_over_a_windows_end_is_charged_in_the_window_of_its_capture(
    wallet: Wallet, clock: time_machine.Traveller
) -> None:
    wallet.set_cap("key", 100, every="day")
    hold = wallet.hold(60, ttl=days(2), attributed_to="key")
    wallet.debit(40, attributed_to="key")
    clock.shift(days(1))
    assert (status(wallet).spent, status(wallet).held) == (0, 60)
    assert refusal_of(wallet, 41).left == 40
    wallet.debit(40, attributed_to="key")
    hold.capture()
    assert (status(wallet).spent, status(wallet).left) == (100, 0)


def test_hold_that_ran_out_keeps_nothing_of_a_cap(wallet: Wallet, clock: time_machine.Traveller) -> None:
    wallet.set_cap("key", 100, every="month")
    wallet.hold(60, attributed_to="key")
    clock.shift(datetime.timedelta(hours=1))
    assert (status(wallet).held, status(wallet).left) == (0, 100)
    wallet.debit(100, attributed_to="key")


def test_work_is_refused_before_it_starts() -> None:
    user = make_user(100)
    user.wallet().set_cap("key", 30, every="day")
    with user.spending_credits_on("report", attributed_to="key"):
        assert status(user.wallet()).held == 25
    started = False
    with pytest.raises(CapExceeded), user.spending_credits_on("report", attributed_to="key"):
        started = True
    assert (started, user.credits) == (False, 75)


def test_work_that_costs_more_than_the_cap_lets_it_is_undone() -> None:
    user = make_user(100)
    user.wallet().set_cap("key", 30, every="day")
    with pytest.raises(CapExceeded), user.spending_credits_on("report", attributed_to="key") as charge:
        charge.amount = 31
    assert (user.credits, user.wallet().held, status(user.wallet()).spent) == (100, 0, 0)


# Reversals


def test_reversal_gives_room_back(wallet: Wallet) -> None:
    wallet.set_cap("key", 100, every="day")
    debit = wallet.debit(60, attributed_to="key")
    wallet.debit(40, attributed_to="key")
    debit.reverse()
    assert status(wallet).left == 60
    debit.reverse()
    assert status(wallet).left == 60
    wallet.debit(60, attributed_to="key")


def test_reversal_of_an_older_windows_debit_gives_no_room(
    wallet: Wallet, clock: time_machine.Traveller
) -> None:
    wallet.set_cap("key", 100, every="day")
    first, second = (wallet.debit(30, attributed_to="key") for _ in range(2))
    clock.shift(days(1))
    first.reverse()
    assert status(wallet).left == 100
    wallet.debit(50, attributed_to="key")
    second.reverse()
    assert (status(wallet).spent, status(wallet).left) == (50, 50)


def test_reversal_of_a_capture_gives_room_back(wallet: Wallet) -> None:
    wallet.set_cap("key", 100, every="day")
    wallet.hold(100, attributed_to="key").capture().reverse()
    assert status(wallet).left == 100


# Batches


def test_batch_of_all_is_refused_once_by_the_cap_of_a_key(wallet: Wallet) -> None:
    wallet.set_cap("key", 100, every="day")
    items: list[Any] = [{"amount": 50, "attributed_to": key} for key in ("key", "other", "key", "key")]
    before = stored()
    with pytest.raises(CapExceeded) as refused:
        wallet.debit_many(items)
    assert (refused.value.required, refused.value.left, stored()) == (150, 100, before)
    wallet.debit_many(items[:3])
    assert status(wallet).left == 0


def test_batch_of_each_is_refused_item_by_item(wallet: Wallet) -> None:
    wallet.set_cap("key", 100, every="day")
    wallet.set_cap("other", 10, every="day")
    calls = [("key", 60), ("key", 60), ("other", 10), ("key", 40), ("other", 1), (None, 500)]
    items: list[Any] = [{"amount": amount, "attributed_to": key} for key, amount in calls]
    with capture_events() as heard:
        results = wallet.debit_many([*items, {"amount": 900, "attributed_to": "third"}], mode="each")
    kinds = [type(result) for result in results]
    refused, paid = CapExceeded, Transaction
    assert kinds == [paid, refused, paid, paid, refused, paid, InsufficientCredits]
    assert [cap.spent for cap in wallet.caps()] == [100, 10]
    assert [context.event for context in heard].count("insufficient_credits") == 1


def test_refusal_by_balance_in_a_batch_of_each_takes_nothing_of_the_cap() -> None:
    wallet = make_wallet(50)
    wallet.set_cap("key", 100, every="day")
    items: list[Any] = [{"amount": amount, "attributed_to": "key"} for amount in (60, 50)]
    assert [isinstance(result, UsageCreditsError) for result in wallet.debit_many(items, mode="each")] == [
        True,
        False,
    ]
    assert status(wallet).spent == 50


def test_replays_in_a_batch_count_once(wallet: Wallet) -> None:
    wallet.set_cap("key", 10, every="day")
    items: list[Any] = [{"amount": 10, "attributed_to": "key", "idempotency_key": "once"}] * 3
    wallet.debit_many(items)
    wallet.debit_many(items)
    assert status(wallet).spent == 10


# Questions


def test_dry_runs_follow_caps() -> None:
    user = make_user(100)
    wallet = user.wallet()
    wallet.set_cap("key", 30, every="day")
    before = stored()
    assert wallet.plan_debit(30, attributed_to="key").refused is None
    plan = wallet.plan_debit(31, attributed_to="key")
    assert isinstance(plan.refused, CapExceeded)
    assert (plan.lots, plan.left, plan.refused.left) == ((), 100, 30)
    assert wallet.plan_debit(31).refused is None
    assert user.plan_spend_on("report", attributed_to="key").refused is None
    assert stored() == before
    user.spend_credits_on("report", attributed_to="key")
    assert isinstance(user.plan_spend_on("report", attributed_to="key").refused, CapExceeded)
    assert user.plan_spend_on("report", attributed_to="other").refused is None


def test_whether_an_operation_can_be_paid_follows_caps() -> None:
    user = make_user(60)
    wallet = user.wallet()
    assert user.has_enough_credits_to("report", attributed_to="key")
    wallet.set_cap("key", 30, every="day")
    wallet.set_cap("key", 1_000, every="month")
    assert user.has_enough_credits_to("report", attributed_to="key")
    user.spend_credits_on("report", attributed_to="key")
    assert not user.has_enough_credits_to("report", attributed_to="key")
    assert user.has_enough_credits_to("report", attributed_to="other")
    assert user.has_enough_credits_to("report")
    wallet.debit(20)
    assert not user.has_enough_credits_to("report", attributed_to="other")
    with configured(OPERATIONS=[Operation("look", costs=0)]):
        wallet.set_cap("key", 0, every="day")
        assert user.has_enough_credits_to("look", attributed_to="key")
        assert user.plan_spend_on("look", attributed_to="key").refused is None


def test_owner_whose_wallet_is_still_to_be_created_has_no_caps() -> None:
    user = make_user()
    user.wallet().delete()
    assert not user.has_enough_credits_to("report", attributed_to="key")
    assert isinstance(user.plan_spend_on("report", attributed_to="key").refused, InsufficientCredits)


# Refused values


@pytest.mark.parametrize("limit", [-1, 2**63, 1.0, True, "5", None])
def test_refuse_what_is_no_limit(wallet: Wallet, limit: Any) -> None:
    before = stored()
    with pytest.raises(InvalidAmount) as refused:
        wallet.set_cap("key", limit, every="day")
    assert (refused.value.field, stored()) == ("limit", before)


def test_take_any_limit_that_can_be_stored(wallet: Wallet) -> None:
    wallet.set_cap("key", 2**63 - 1, every="day")
    wallet.debit(1_000, attributed_to="key")
    assert status(wallet).left == 2**63 - 1_001


@pytest.mark.parametrize(
    "every", [None, "", "Day", "0 days", "fortnight", 1, datetime.timedelta(0), datetime.timedelta(0, 0, 1)]
)
def test_refuse_what_is_no_period(wallet: Wallet, every: Any) -> None:
    before = stored()
    with pytest.raises(InvalidValue) as refused:
        wallet.set_cap("key", 5, every=every)
    assert (refused.value.field, stored()) == ("every", before)


@pytest.mark.parametrize("key", [None, "", " ", "k" * 256, "k\x00", 5])
def test_refuse_what_is_no_key(wallet: Wallet, key: Any) -> None:
    calls: list[Any] = [
        lambda: wallet.set_cap(key, 5, every="day"),
        lambda: wallet.remove_cap(key),
    ]
    if key is not None:
        user: Any = wallet.owner
        with configured(OPERATIONS=[Operation("look", costs=0)]):
            for question in (user.has_enough_credits_to, user.plan_spend_on):
                with pytest.raises(InvalidValue) as refused:
                    question("look", attributed_to=key)
                assert refused.value.field == "attributed_to"
        calls += [lambda: wallet.caps(key), lambda: wallet.plan_debit(5, attributed_to=key)]
    for call in calls:
        with pytest.raises(InvalidValue) as refused:
            call()
        assert refused.value.field == "attributed_to"


def test_key_is_no_parameter_of_an_operation() -> None:
    with pytest.raises(InvalidOperation):
        make_user(100).estimate_credits_to("report", attributed_to="key")


def test_unsaved_wallet_has_no_caps() -> None:
    with pytest.raises(InvalidValue):
        Wallet(asset="credits").set_cap("key", 5, every="day")


# Owners


def test_caps_go_with_an_owner_without_history() -> None:
    studio = Studio.objects.create(name="studio")
    studio.wallet("gems").set_cap("key", 5, every="day")
    studio.delete()
    assert not SpendingCap.objects.exists()


def test_caps_stay_with_a_wallet_that_is_parted_from_its_owner(wallet: Wallet) -> None:
    wallet.set_cap("key", 5, every="day")
    assert wallet.owner is not None
    detach_owner(wallet.owner)
    assert refusal_of(wallet, 6).left == 5

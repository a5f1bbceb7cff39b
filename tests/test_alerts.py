from __future__ import annotations

import datetime
from typing import Any

import pytest
import time_machine
from django.db import connection, transaction
from django.test import TestCase
from django.test.utils import CaptureQueriesContext

from tests.factories import NewcomerFactory, configured, days, make_user, make_wallet, names
from tests.ledger.statements import sent
from usage_credits import InsufficientCredits, start_plan
from usage_credits.billing.fulfillment import fulfill_due
from usage_credits.ledger.expiry import book_expired
from usage_credits.ledger.verification import verify
from usage_credits.models import Wallet
from usage_credits.signals import EventContext
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db

LOW, RECOVERED = "low_balance_reached", "balance_recovered"


def raised(events: list[EventContext]) -> list[tuple[str, int | None]]:
    """Return the alerts among the events, each with its threshold."""
    return [(one.event, one.threshold) for one in events if one.event in (LOW, RECOVERED)]


def sell(wallet: Wallet, amount: int) -> None:
    wallet.credit(amount, category="credit_pack_purchase")


def test_each_threshold_is_reached_once_and_again_after_a_refill() -> None:
    wallet = make_wallet(150)
    with configured(LOW_BALANCE_THRESHOLD=100, LOW_BALANCE_THRESHOLDS=[50, "10"]), capture_events() as events:
        for amount in (40, 20, 5, 45, 35):
            wallet.debit(amount)
        wallet.credit(55)
        wallet.credit(100)
        wallet.debit(160)
    assert raised(events) == [
        (LOW, 100),
        (LOW, 50),
        (LOW, 10),
        (RECOVERED, 10),
        (RECOVERED, 50),
        (RECOVERED, 100),
        (LOW, 100),
        (LOW, 50),
        (LOW, 10),
    ]


def test_alerts_follow_the_row_and_precede_depletion() -> None:
    wallet = make_wallet(100)
    with configured(LOW_BALANCE_THRESHOLDS=[0, 50]), capture_events() as events:
        wallet.debit(100)
        wallet.credit(60)
    assert names(events) == [
        "credits_deducted",
        LOW,
        LOW,
        "balance_depleted",
        "credits_added",
        RECOVERED,
        RECOVERED,
    ]
    low, recovered = events[1].to_dict(), events[-1].to_dict()
    assert (
        set(low)
        == set(recovered)
        == {"event", "owner", "wallet", "threshold", "previous_balance", "new_balance"}
    )
    assert (low["previous_balance"], low["new_balance"], recovered["new_balance"]) == (100, 0, 60)


def test_threshold_given_twice_is_one() -> None:
    wallet = make_wallet(100)
    with configured(LOW_BALANCE_THRESHOLD=50, LOW_BALANCE_THRESHOLDS=[50, "50"]), capture_events() as events:
        wallet.debit(60)
    assert raised(events) == [(LOW, 50)]


def test_touching_a_threshold_from_below_is_no_recovery() -> None:
    wallet = make_wallet(100)
    with configured(LOW_BALANCE_THRESHOLD=50), capture_events() as events:
        wallet.debit(60)
        wallet.credit(10)
        wallet.credit(1)
    assert raised(events) == [(LOW, 50), (RECOVERED, 50)]


def test_wallet_that_begins_does_not_recover() -> None:
    with configured(LOW_BALANCE_THRESHOLD=50), capture_events() as events:
        NewcomerFactory.create()
        make_wallet(100)
        wallet = make_wallet()
        start_plan(wallet.owner, "pro")
    assert raised(events) == []
    with configured(LOW_BALANCE_THRESHOLD=50), capture_events() as events:
        wallet.debit(600)
        wallet.credit(100)
    assert raised(events) == [(LOW, 50), (RECOVERED, 50)]


def test_one_debit_reaches_each_threshold_that_it_passes() -> None:
    wallet = make_wallet()
    sell(wallet, 100)
    with configured(LOW_BALANCE_THRESHOLDS=[0, 10, "10%", "50%", 90]), capture_events() as events:
        wallet.debit(95)
        wallet.debit(5)
        wallet.credit(91)
    assert raised(events) == [
        *((LOW, threshold) for threshold in (90, 50, 10, 10)),
        (LOW, 0),
        *((RECOVERED, threshold) for threshold in (0, 10, 10, 50, 90)),
    ]
    assert [event.metadata for event in events if event.threshold == 10] == [
        None,
        {"share": "10%", "last_award": 100},
    ] * 2


def test_batch_reaches_a_threshold_once() -> None:
    wallet = make_wallet(100)
    with configured(LOW_BALANCE_THRESHOLDS=[80, 75]), capture_events() as events:
        wallet.debit_many([5] * 10)
        wallet.debit_many([45, 10], mode="each")
    assert raised(events) == [(LOW, 80), (LOW, 75)]
    assert [event.new_balance for event in events if event.event == LOW] == [80, 75]


def test_transfer_reaches_the_sender_and_lets_the_receiver_recover() -> None:
    sender, receiver, newcomer = make_wallet(100), make_wallet(10), make_wallet()
    with configured(LOW_BALANCE_THRESHOLD=50), capture_events() as events:
        moved = sender.transfer_to(receiver, 60)
        moved.reverse()
        sender.transfer_to(newcomer, 60)
    told = [(event.event, event.wallet) for event in events if event.event in (LOW, RECOVERED)]
    assert told == [(LOW, sender), (RECOVERED, receiver), (LOW, receiver), (RECOVERED, sender), (LOW, sender)]


def test_hold_reaches_no_threshold_before_it_is_captured() -> None:
    wallet = make_wallet(100)
    with configured(LOW_BALANCE_THRESHOLD=50), capture_events() as events:
        wallet.hold(100).release()
        held = wallet.hold(100)
        assert raised(events) == []
        held.capture(60)
        held.release()
    assert raised(events) == [(LOW, 50)]
    assert names(events)[-3:] == [LOW, "hold_captured", "hold_released"]


def test_expiry_reaches_a_threshold_whoever_books_it() -> None:
    with time_machine.travel(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), tick=False) as clock:
        wallets = [make_wallet(30) for _ in range(2)]
        for wallet in wallets:
            wallet.credit(70, expires_at=datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC))
        clock.shift(days(2))
        with configured(LOW_BALANCE_THRESHOLD=50), capture_events() as events:
            wallets[0].debit(1)
            list(book_expired())
            list(book_expired())
    assert [(one.event, one.wallet) for one in events if one.event == LOW] == [
        (LOW, wallet) for wallet in wallets
    ]


def test_balance_below_zero_reaches_nothing_more_and_recovers_above_zero() -> None:
    wallet = make_wallet(5)
    limits = configured(ALLOW_NEGATIVE_BALANCE=True, LOW_BALANCE_THRESHOLDS=[0, 3])
    with limits, capture_events() as events:
        wallet.debit(10)
        wallet.debit(10)
        wallet.credit(15)
        wallet.credit(1)
        wallet.credit(10)
    assert raised(events) == [(LOW, 3), (LOW, 0), (RECOVERED, 0), (RECOVERED, 3)]


def test_credit_that_is_claimed_at_once_leaves_the_balance_low() -> None:
    wallet = make_wallet()
    credit = wallet.credit(100)
    wallet.debit(100)
    credit.reverse()
    with configured(LOW_BALANCE_THRESHOLD=50), capture_events() as events:
        wallet.credit(120)
    assert raised(events) == [(RECOVERED, 50), (LOW, 50)]
    assert wallet.balance == 20


def test_refused_and_undone_debits_reach_nothing() -> None:
    wallet = make_wallet(100)
    with configured(LOW_BALANCE_THRESHOLD=50), capture_events() as events:
        with pytest.raises(InsufficientCredits):
            wallet.debit(101)
        with transaction.atomic():
            wallet.debit(60)
            transaction.set_rollback(True)
        wallet.debit(60, idempotency_key="once")
        wallet.debit(60, idempotency_key="once")
    assert raised(events) == [(LOW, 50)]


def test_renewal_on_time_reaches_nothing_and_a_late_one_says_what_was_missing() -> None:
    low = configured(LOW_BALANCE_THRESHOLDS=["20%"])
    with time_machine.travel(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), tick=False) as clock, low:
        user = make_user()
        start_plan(user, "pro")
        user.spend_credits_on("mail")
        with capture_events() as events:
            clock.move_to(datetime.datetime(2026, 2, 1, tzinfo=datetime.UTC))
            list(fulfill_due())
            clock.shift(days(1))
            list(book_expired())
        assert raised(events) == []
        with capture_events() as events:
            clock.move_to(datetime.datetime(2026, 3, 2, tzinfo=datetime.UTC))
            list(fulfill_due())
    assert raised(events) == [(LOW, 100), (RECOVERED, 100)]


@pytest.mark.parametrize(
    ("share", "award", "low"),
    [("20%", 1_000, 200), ("12.5%", 999, 124), ("33 %", 10, 3), ("100%", 7, 7), ("5%", 19, 0)],
)
def test_share_is_of_the_last_award(share: str, award: int, low: int) -> None:
    wallet = make_wallet(5)
    sell(wallet, 12_345)
    wallet.debit(12_350)
    sell(wallet, award)
    wallet.credit(2)
    with configured(LOW_BALANCE_THRESHOLDS=[share]), capture_events() as events:
        wallet.debit(award - low + 1)
        wallet.debit(1)
    assert names(events)[:3] == ["credits_deducted", "credits_deducted", LOW]
    alert = events[2]
    assert alert.threshold == low
    assert alert.metadata == {"share": share.replace(" ", ""), "last_award": award}


def test_share_rises_with_the_award_that_lets_the_balance_recover() -> None:
    wallet = make_wallet()
    sell(wallet, 100)
    with configured(LOW_BALANCE_THRESHOLDS=["20%"]), capture_events() as events:
        wallet.debit(80)
        wallet.credit(15)
        sell(wallet, 1_000)
        wallet.debit(900)
        sell(wallet, 10)
        wallet.debit(1)
    assert raised(events) == [(LOW, 20), (RECOVERED, 20), (LOW, 200), (RECOVERED, 2)]


def test_award_too_small_to_rise_above_its_share_recovers_nothing() -> None:
    wallet = make_wallet()
    sell(wallet, 100)
    with configured(LOW_BALANCE_THRESHOLDS=["100%"]), capture_events() as events:
        wallet.debit(100)
        sell(wallet, 500)
    assert raised(events) == []


@pytest.mark.parametrize("category", ["credit_added", "bonus", "manual_adjustment"])
def test_without_an_award_there_is_no_share(category: str) -> None:
    wallet = make_wallet()
    wallet.credit(100, category=category)
    with configured(LOW_BALANCE_THRESHOLDS=["20%"]), capture_events() as events:
        wallet.debit(100)
        wallet.credit(50)
    assert raised(events) == []


def test_expiry_reaches_a_share_of_the_award_before_the_next_one() -> None:
    with time_machine.travel(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), tick=False) as clock:
        wallet = make_wallet()
        wallet.credit(
            100,
            category="subscription_credits",
            expires_at=datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
        )
        clock.shift(days(2))
        with configured(LOW_BALANCE_THRESHOLDS=["20%"]), capture_events() as events:
            wallet.credit(1_000, category="subscription_credits")
    assert raised(events) == [(LOW, 20), (RECOVERED, 200)]


def test_reversal_and_refund_leave_the_last_award() -> None:
    wallet = make_wallet()
    sell(wallet, 100)
    sell(wallet, 50)
    wallet.transactions.latest("pk").reverse()
    wallet.debit(100).reverse()
    stored = Wallet.objects.get(pk=wallet.pk)
    assert stored.last_award == 50
    assert list(verify()) == []


def test_plan_awards_count() -> None:
    user = make_user()
    start_plan(user, "pro")
    assert user.wallet().last_award == 500


@pytest.mark.behaviour("EVT-10")
@pytest.mark.parametrize("thresholds", [[], [50, "20%"]])
def test_thresholds_cost_no_statement_where_nobody_listens(thresholds: list[Any]) -> None:
    wallet = Wallet.objects.get(pk=make_wallet().pk)
    with configured(LOW_BALANCE_THRESHOLDS=thresholds):
        for action, statements in (
            (lambda: sell(wallet, 100), sent(5, together=3)),
            (lambda: wallet.debit(90), sent(6, together=4)),
            (lambda: wallet.credit(100), sent(5, together=3)),
        ):
            with (
                CaptureQueriesContext(connection) as captured,
                TestCase.captureOnCommitCallbacks(execute=True),
            ):
                action()
            assert len(captured) == statements

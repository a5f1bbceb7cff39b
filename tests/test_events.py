from __future__ import annotations

import dataclasses
import logging
from typing import Any

import pytest
from django.db import transaction

from tests.app.models import Member, User
from tests.factories import NewcomerFactory, configured, make_user, make_wallet, names, stored
from tests.ledger.statements import sent
from usage_credits import InsufficientCredits, signals
from usage_credits.models import Wallet
from usage_credits.signals import EventContext
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db

RECEIVED: list[tuple[str, EventContext]] = []


def first_callback(*, context: EventContext, **kwargs: Any) -> None:
    RECEIVED.append(("first", context))


def second_callback(*, context: EventContext, **kwargs: Any) -> None:
    RECEIVED.append(("second", context))


def failing_callback(**kwargs: Any) -> None:
    raise RuntimeError("the callback failed")


def narrow_callback(context: EventContext) -> None:
    RECEIVED.append(("narrow", context))


@pytest.fixture(autouse=True)
def _nothing_received() -> None:
    RECEIVED.clear()


@pytest.fixture
def connect() -> Any:
    connected: list[tuple[Any, Any, Any]] = []

    def connect_receiver(signal: Any, receiver: Any, sender: Any = None) -> None:
        signal.connect(receiver, sender=sender, weak=False)
        connected.append((signal, receiver, sender))

    yield connect_receiver
    for signal, receiver, sender in connected:
        signal.disconnect(receiver, sender=sender)


@pytest.mark.behaviour("EVT-01")
def test_every_event_is_a_signal() -> None:
    assert set(signals.ALL) == {
        "credits_added",
        "credits_deducted",
        "credits_expired",
        "low_balance_reached",
        "balance_depleted",
        "balance_recovered",
        "insufficient_credits",
        "transfer_completed",
        "hold_placed",
        "hold_captured",
        "hold_released",
        "credit_pack_purchased",
        "credits_refunded",
        "subscription_credits_awarded",
        "fulfillment_failed",
        "recharge_succeeded",
        "recharge_failed",
    }
    assert all(getattr(signals, name) is signal for name, signal in signals.ALL.items())


@pytest.mark.behaviour("EVT-02", "EVT-14", "DEC-05")
def test_a_debit_announces_itself_before_the_thresholds_it_crossed() -> None:
    wallet = make_wallet(100)
    with configured(LOW_BALANCE_THRESHOLD=0), capture_events() as events:
        wallet.debit(40)
        wallet.debit(60)
    assert names(events) == [
        "credits_deducted",
        "credits_deducted",
        "low_balance_reached",
        "balance_depleted",
    ]


@pytest.mark.behaviour("EVT-04")
def test_contexts_hold_what_applies_and_none_elsewhere() -> None:
    user = make_user(10)
    with configured(LOW_BALANCE_THRESHOLD=5), capture_events() as events:
        added = user.give_credits(90, reason="signup")
        taken = user.wallet().debit(100, metadata={"job": 7})
    assert [context.to_dict() for context in events] == [
        {
            "event": "credits_added",
            "owner": user,
            "wallet": user.wallet(),
            "amount": 90,
            "previous_balance": 10,
            "new_balance": 100,
            "transaction": added,
            "category": "signup_bonus",
            "metadata": {"reason": "signup"},
        },
        {
            "event": "credits_deducted",
            "owner": user,
            "wallet": user.wallet(),
            "amount": 100,
            "previous_balance": 100,
            "new_balance": 0,
            "transaction": taken,
            "category": "credit_deducted",
            "metadata": {"job": 7},
        },
        {
            "event": "low_balance_reached",
            "owner": user,
            "wallet": user.wallet(),
            "threshold": 5,
            "previous_balance": 100,
            "new_balance": 0,
        },
        {
            "event": "balance_depleted",
            "owner": user,
            "wallet": user.wallet(),
            "previous_balance": 100,
            "new_balance": 0,
        },
    ]
    assert events[2].transaction is None
    assert events[2].operation is None


@pytest.mark.behaviour("EVT-05")
def test_contexts_are_frozen() -> None:
    with capture_events() as events:
        make_wallet(10)
    with pytest.raises(dataclasses.FrozenInstanceError):
        events[0].amount = 5  # type: ignore[misc]
    assert "threshold" not in events[0].to_dict()


def test_sender_is_the_model_of_the_wallet_for_an_owner_loaded_as_a_proxy(connect: Any) -> None:
    senders: list[Any] = []
    connect(signals.credits_added, lambda sender, **kwargs: senders.append(sender), sender=User)
    make_user()
    with capture_events():
        Member.objects.get().give_credits(1)
    assert senders == [User]


def test_sender_is_the_owners_model_and_the_owner_the_callers_instance(connect: Any) -> None:
    senders: list[Any] = []
    connect(signals.credits_added, lambda sender, context, **kwargs: senders.append((sender, context.owner)))
    connect(signals.credits_added, lambda **kwargs: senders.append("other"), sender=Wallet)
    user = make_user()
    with capture_events():
        user.give_credits(5)
    assert senders == [(User, user)]
    assert senders[0][1] is user


@pytest.mark.django_db(transaction=True)
def test_receivers_of_one_model_hear_its_owners_only(connect: Any) -> None:
    connect(signals.credits_added, first_callback, sender=User)
    user, newcomer = make_user(5), NewcomerFactory.create()
    assert newcomer.credits == 100
    assert [context.owner for _, context in RECEIVED] == [user]


@pytest.mark.behaviour("EVT-09", "EVT-11")
def test_receivers_that_fail_hurt_nobody_else(connect: Any, caplog: pytest.LogCaptureFixture) -> None:
    user = make_user()
    connect(signals.credits_added, failing_callback)
    connect(signals.credits_added, lambda: None)
    connect(signals.credits_added, first_callback)
    callbacks = [f"{__name__}.failing_callback", f"{__name__}.second_callback"]
    with (
        configured(CALLBACKS={"credits_added": callbacks}),
        caplog.at_level(logging.ERROR),
        capture_events() as events,
    ):
        user.give_credits(5)
    assert user.credits == 5
    assert [name for name, _ in RECEIVED] == ["first", "second"]
    assert names(events) == ["credits_added"]
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(logged) == 3
    assert "failing_callback" in caplog.text
    assert "the callback failed" in caplog.text


@pytest.mark.behaviour("EVT-09")
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_receiver_may_stop_the_process(connect: Any, error: type[BaseException]) -> None:
    def stop(**kwargs: Any) -> None:
        raise error

    user = make_user()
    connect(signals.insufficient_credits, stop)
    with pytest.raises(error):
        user.wallet().debit(5)


@pytest.mark.behaviour("EVT-10")
def test_events_without_receivers_take_no_statement(django_assert_num_queries: Any) -> None:
    wallet = Wallet.objects.get(pk=make_wallet(100).pk)
    with capture_events() as heard:
        wallet.debit(1)
    assert names(heard) == ["credits_deducted"]
    wallet = Wallet.objects.get(pk=wallet.pk)
    with django_assert_num_queries(sent(6, together=4)):
        wallet.debit(1)


@pytest.mark.behaviour("EVT-11")
def test_callback_of_another_signature_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    user = make_user()
    with configured(CALLBACKS={"credits_added": f"{__name__}.narrow_callback"}), capture_events():
        user.give_credits(5)
    assert user.credits == 5
    assert "narrow_callback" in caplog.text


@pytest.mark.behaviour("EVT-12")
@pytest.mark.parametrize(
    ("balance", "debit", "threshold", "reached"),
    [
        (150, 75, 100, True),
        (150, 50, 100, True),
        (50, 10, 100, False),
        (150, 49, 100, False),
        (150, 150, None, False),
    ],
)
def test_low_balance_is_reached_from_above(
    balance: int, debit: int, threshold: int | None, reached: bool
) -> None:
    wallet = make_wallet(balance)
    with configured(LOW_BALANCE_THRESHOLD=threshold), capture_events() as events:
        wallet.debit(debit)
    assert ("low_balance_reached" in names(events)) is reached


@pytest.mark.behaviour("EVT-13", "EVT-29")
def test_low_balance_is_reached_again_after_a_refill() -> None:
    wallet = make_wallet(150)
    with configured(LOW_BALANCE_THRESHOLD=100), capture_events() as events:
        wallet.debit(60)
        wallet.debit(10)
        wallet.credit(100)
        wallet.debit(100)
    low = [context for context in events if context.event == "low_balance_reached"]
    assert [(context.previous_balance, context.new_balance) for context in low] == [(150, 90), (180, 80)]


@pytest.mark.behaviour("EVT-15", "EVT-16")
def test_depleted_is_exactly_zero_from_above() -> None:
    wallet = make_wallet(5)
    with configured(ALLOW_NEGATIVE_BALANCE=True, LOW_BALANCE_THRESHOLD=0), capture_events() as events:
        wallet.debit(10)
        wallet.credit(5)
    assert names(events) == ["credits_deducted", "low_balance_reached", "credits_added"]
    with capture_events() as events:
        wallet.credit(5)
        wallet.debit(5)
    assert names(events) == ["credits_added", "credits_deducted", "balance_depleted"]


@pytest.mark.behaviour("EVT-18", "DEC-05")
@pytest.mark.django_db(transaction=True)
def test_events_wait_for_the_outermost_commit_and_keep_their_order() -> None:
    user = make_user(10)
    with capture_events() as events:
        with transaction.atomic():
            user.give_credits(5)
            with transaction.atomic():
                user.wallet().debit(15)
            assert events == []
        assert names(events) == ["credits_added", "credits_deducted", "balance_depleted"]


@pytest.mark.behaviour("EVT-18", "DEC-05", "DEB-12")
@pytest.mark.django_db(transaction=True)
def test_rolled_back_operations_leave_no_row_and_no_event() -> None:
    user = make_user(10)
    before = stored()

    def fail_after_writing() -> None:
        with transaction.atomic():
            user.give_credits(5, idempotency_key="k")
            user.spend_credits_on("mail")
            user.wallet("gems").credit(1)
            raise ZeroDivisionError

    with capture_events() as events:
        with pytest.raises(ZeroDivisionError):
            fail_after_writing()
        with transaction.atomic():
            with pytest.raises(ZeroDivisionError):
                fail_after_writing()
            user.give_credits(1, idempotency_key="k")
    assert names(events) == ["credits_added"]
    assert events[0].amount == 1
    after = stored()
    assert len(after["usage_credits.Transaction"]) == len(before["usage_credits.Transaction"]) + 1
    assert len(after["usage_credits.Wallet"]) == len(before["usage_credits.Wallet"])


@pytest.mark.behaviour("EVT-21", "DEC-05")
def test_refusal_is_announced_even_where_the_surroundings_roll_back() -> None:
    user = make_user(5)

    def refused_inside() -> None:
        with transaction.atomic():
            user.spend_credits_on("report")

    with capture_events() as events, pytest.raises(InsufficientCredits):
        refused_inside()
    assert names(events) == ["insufficient_credits"]


@pytest.mark.behaviour("EVT-26")
def test_receivers_are_called_in_the_order_of_registration(connect: Any) -> None:
    connect(signals.credits_added, first_callback)
    connect(signals.credits_added, second_callback)
    user = make_user()
    paths = [f"{__name__}.second_callback", f"{__name__}.first_callback"]
    with configured(CALLBACKS={"credits_added": paths}), capture_events():
        user.give_credits(5)
    assert [name for name, _ in RECEIVED] == ["first", "second", "second", "first"]
    assert len({id(context) for _, context in RECEIVED}) == 1


@pytest.mark.behaviour("EVT-28")
@pytest.mark.django_db(transaction=True)
def test_a_receiver_may_write_to_the_wallet(connect: Any) -> None:
    def refill(context: EventContext, **kwargs: Any) -> None:
        assert context.wallet is not None
        assert context.wallet.balance == 0
        context.wallet.credit(50, category="bonus")

    user = make_user(10)
    connect(signals.balance_depleted, refill)
    user.wallet().debit(10)
    assert user.credits == 50
    assert [row.amount for row in user.credit_history] == [10, -10, 50]


def test_a_callback_that_cannot_be_imported_costs_no_operation(caplog: pytest.LogCaptureFixture) -> None:
    user = make_user(10)
    with (
        configured(CALLBACKS=dict.fromkeys(signals.ALL, "tests.no_such_module.callback")),
        capture_events() as events,
    ):
        user.wallet().debit(5)
        with pytest.raises(InsufficientCredits):
            user.wallet().debit(50)
    assert names(events) == ["insufficient_credits", "credits_deducted"]
    assert "no_such_module" in caplog.text
    assert user.credits == 5


@pytest.mark.behaviour("EVT-31")
def test_captured_events_end_with_their_block() -> None:
    with capture_events() as events:
        make_wallet(5)
    with capture_events() as later:
        pass
    make_wallet(5)
    assert (names(events), later) == (["credits_added"], [])
    assert not any(signal.receivers for signal in signals.ALL.values())


@pytest.mark.django_db(transaction=True)
def test_who_listens_is_asked_at_the_commit(connect: Any) -> None:
    wallet = make_wallet(5)
    with transaction.atomic():
        wallet.credit(10)
        connect(signals.credits_added, first_callback)
    assert [(context.amount, context.new_balance) for _, context in RECEIVED] == [(10, 15)]

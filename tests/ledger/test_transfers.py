from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from tests.factories import (
    TeamFactory,
    add_lots,
    amounts_of,
    configured,
    days,
    lot_of,
    make_user,
    make_wallet,
    names,
    remaining_of,
    stored,
)
from usage_credits import (
    IdempotencyConflict,
    InsufficientCredits,
    InvalidAmount,
    InvalidTransfer,
    InvalidValue,
)
from usage_credits.ledger.verification import verify
from usage_credits.models import Transfer, Wallet
from usage_credits.testing import capture_events

START = datetime.datetime(2026, 1, 1, 12, 0, 0, 123456, tzinfo=datetime.UTC)


@pytest.fixture(autouse=True)
def clock(db: None) -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as clock:
        yield clock
        assert list(verify()) == []


@pytest.fixture
def sender() -> Wallet:
    return make_wallet()


@pytest.fixture
def receiver() -> Wallet:
    return make_wallet()


def arrived(transfer: Transfer) -> list[tuple[int, datetime.datetime | None]]:
    return [(row.amount, lot_of(row).expires_at) for row in transfer.inbound_transactions]


@pytest.mark.behaviour("TRF-01", "CAT-07", "SNP-12", "TRF-22")
def test_transfer_moves_credits_and_links_both_legs(sender: Wallet, receiver: Wallet) -> None:
    sender.credit(900)
    moved = sender.transfer_to(receiver, 250, category="peer_payment")
    assert Transfer.objects.get() == moved
    assert (moved.from_wallet, moved.to_wallet, moved.amount) == (sender, receiver, 250)
    assert (moved.asset, moved.category, moved.expiration_policy) == ("credits", "peer_payment", "preserve")
    assert (sender.balance, receiver.balance) == (650, 250)
    sent, came = moved.outbound_transaction, moved.inbound_transaction
    assert came is not None
    assert (sent.wallet, sent.amount, sent.category) == (sender, -250, "transfer_out")
    assert (came.wallet, came.amount, came.category) == (receiver, 250, "transfer_in")
    assert lot_of(came).remaining == 250
    assert sent.created_at == came.created_at == moved.created_at == START
    assert list(sender.history())[-1] == sent
    assert list(receiver.history()) == [came]


@pytest.mark.behaviour("TRF-02")
def test_preserved_expiry_is_the_same_to_the_microsecond(sender: Wallet, receiver: Wallet) -> None:
    sender.credit(10_240, expires_at=START + days(21))
    moved = sender.transfer_to(receiver, 3_072)
    assert arrived(moved) == [(3_072, START + days(21))]
    assert (sender.balance, receiver.balance) == (7_168, 3_072)


@pytest.mark.behaviour("TRF-03", "TRF-14")
def test_one_lot_arrives_for_each_distinct_expiry(sender: Wallet, receiver: Wallet) -> None:
    sender.credit(80, expires_at=START + days(20))
    sender.credit(100, expires_at=START + days(5))
    moved = sender.transfer_to(receiver, 130)
    assert arrived(moved) == [(100, START + days(5)), (30, START + days(20))]
    assert moved.inbound_transaction is None
    assert sum(amount for amount, _ in arrived(moved)) == moved.amount == -moved.outbound_transaction.amount


@pytest.mark.behaviour("TRF-04")
def test_lots_of_one_expiry_arrive_as_one(sender: Wallet, receiver: Wallet) -> None:
    for amount in (60, 40):
        sender.credit(amount, expires_at=START + days(5))
    assert arrived(sender.transfer_to(receiver, 75)) == [(75, START + days(5))]


@pytest.mark.behaviour("TRF-05")
def test_mixed_sources_arrive_in_the_order_in_which_they_paid(sender: Wallet, receiver: Wallet) -> None:
    sender.credit(10)
    sender.credit(10, expires_at=START + days(2))
    sender.credit(10, expires_at=START + days(1))
    sender.credit(10)
    moved = sender.transfer_to(receiver, 35)
    assert arrived(moved) == [(10, START + days(1)), (10, START + days(2)), (15, None)]


@pytest.mark.behaviour("TRF-06")
@pytest.mark.parametrize(
    ("options", "policy", "expires_at"),
    [
        ({"expiration_policy": "none"}, "none", None),
        ({"expiration_policy": "fixed", "expires_at": START + days(9)}, "fixed", START + days(9)),
        ({"expires_at": START + days(9)}, "fixed", START + days(9)),
    ],
)
def test_other_policies_make_one_lot(
    sender: Wallet,
    receiver: Wallet,
    options: dict[str, Any],
    policy: str,
    expires_at: datetime.datetime | None,
) -> None:
    sender.credit(10, expires_at=START + days(1))
    sender.credit(10, expires_at=START + days(2))
    moved = sender.transfer_to(receiver, 15, **options)
    assert moved.expiration_policy == policy
    assert arrived(moved) == [(15, expires_at)]


@pytest.mark.behaviour("TRF-07")
@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"expiration_policy": "fixed"}, "expires_at"),
        ({"expiration_policy": "preserve", "expires_at": START + days(1)}, "expires_at"),
        ({"expiration_policy": "none", "expires_at": START + days(1)}, "expires_at"),
        ({"expires_at": START}, "expires_at"),
        ({"expires_at": START - days(1)}, "expires_at"),
        ({"expires_at": datetime.datetime(2027, 1, 1)}, "expires_at"),
        ({"expiration_policy": "fresh_window"}, "expiration_policy"),
        ({"expiration_policy": ""}, "expiration_policy"),
        ({"expiration_policy": 5}, "expiration_policy"),
        ({"category": " "}, "category"),
        ({"category": "x" * 101}, "category"),
        ({"metadata": []}, "metadata"),
        ({"idempotency_key": ""}, "idempotency_key"),
    ],
)
def test_bad_options_are_refused(
    sender: Wallet, receiver: Wallet, options: dict[str, Any], field: str
) -> None:
    sender.credit(100)
    before = stored()
    with pytest.raises(ValueError, match=field) as refusal:
        sender.transfer_to(receiver, 10, **options)
    assert isinstance(refusal.value, InvalidValue)
    assert refusal.value.field == field
    assert stored() == before


@pytest.mark.behaviour("TRF-08")
def test_policy_is_read_in_any_case(sender: Wallet, receiver: Wallet) -> None:
    sender.credit(10, expires_at=START + days(1))
    moved = sender.transfer_to(receiver, 10, expiration_policy=" NONE ")
    assert (moved.expiration_policy, arrived(moved)) == ("none", [(10, None)])


@pytest.mark.behaviour("TRF-09")
def test_default_policy_comes_from_settings(sender: Wallet, receiver: Wallet) -> None:
    sender.credit(30, expires_at=START + days(1))
    with configured(TRANSFER_EXPIRATION_POLICY="none"):
        assert sender.transfer_to(receiver, 10).expiration_policy == "none"
        assert sender.transfer_to(receiver, 10, expiration_policy="preserve").expiration_policy == "preserve"
    with configured(TRANSFER_EXPIRATION_POLICY="fixed"), pytest.raises(ValueError, match="EXPIRATION_POLICY"):
        sender.transfer_to(receiver, 10)


@pytest.mark.behaviour("TRF-21", "TRF-25")
def test_round_trip_keeps_the_expiry_and_settings_can_forbid_losing_it(
    sender: Wallet, receiver: Wallet
) -> None:
    sender.credit(100, expires_at=START + days(3))
    sender.transfer_to(receiver, 100)
    back = receiver.transfer_to(sender, 100)
    assert arrived(back) == [(100, START + days(3))]
    with configured(TRANSFER_EXPIRATION_POLICIES=["Preserve "]):
        for options in ({"expiration_policy": "none"}, {"expires_at": START + days(99)}):
            with pytest.raises(InvalidTransfer, match="allowed is preserve"):
                sender.transfer_to(receiver, 1, **options)
        assert sender.transfer_to(receiver, 1).expiration_policy == "preserve"


@pytest.mark.behaviour("TRF-10")
@pytest.mark.parametrize("amount", [0, -1, 2.5, None, True])
def test_bad_amounts_are_refused(sender: Wallet, receiver: Wallet, amount: Any) -> None:
    sender.credit(100)
    before = stored()
    with pytest.raises(ValueError, match="amount") as refusal:
        sender.transfer_to(receiver, amount)
    assert isinstance(refusal.value, InvalidAmount)
    assert stored() == before


@pytest.mark.behaviour("TRF-11", "AST-07")
def test_wallets_that_do_not_fit_are_refused(sender: Wallet) -> None:
    sender.credit(100)
    gems = make_user().wallet("gems")
    before = stored()
    for other in (None, make_user, Wallet(asset="credits"), sender, Wallet.objects.get(pk=sender.pk), gems):
        with pytest.raises(InvalidTransfer) as refusal:
            sender.transfer_to(other, 10)  # type: ignore[arg-type]
        assert refusal.value.field == "other"
    with pytest.raises(InvalidTransfer):
        Wallet(asset="credits").transfer_to(sender, 10)
    assert stored() == before


@pytest.mark.behaviour("TRF-13")
@pytest.mark.parametrize("negatives", [False, True])
def test_more_than_the_balance_is_refused(sender: Wallet, receiver: Wallet, negatives: bool) -> None:
    sender.credit(100)
    before = stored()
    with (
        configured(ALLOW_NEGATIVE_BALANCE=negatives),
        capture_events() as events,
        pytest.raises(InsufficientCredits) as refusal,
    ):
        sender.transfer_to(receiver, 101)
    assert (refusal.value.available, refusal.value.required) == (100, 101)
    assert names(events) == ["insufficient_credits"]
    assert (events[0].wallet, events[0].amount) == (sender, 101)
    assert stored() == before


@pytest.mark.behaviour("TRF-13")
def test_sender_in_debt_can_send_what_is_above_it(sender: Wallet, receiver: Wallet) -> None:
    kept = sender.credit(20)
    hold = sender.hold(20)
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        sender.debit(15)
        hold.release()
        assert (sender.balance, lot_of(kept).amount) == (5, 20)
        with pytest.raises(InsufficientCredits):
            sender.transfer_to(receiver, 6)
        sender.transfer_to(receiver, 5)
    assert (sender.balance, receiver.balance) == (0, 5)


def test_what_is_held_stays(sender: Wallet, receiver: Wallet) -> None:
    sender.credit(100)
    sender.hold(70)
    with pytest.raises(InsufficientCredits) as refusal:
        sender.transfer_to(receiver, 31)
    assert refusal.value.available == 30
    sender.transfer_to(receiver, 30)
    assert (sender.balance, sender.available, receiver.balance) == (70, 0, 30)


@pytest.mark.behaviour("TRF-16")
def test_legs_name_each_other(sender: Wallet) -> None:
    team = TeamFactory.create()
    receiver = Wallet.objects.get(pk=team.wallet().pk)
    sender.credit(100, expires_at=START + days(1))
    moved = sender.transfer_to(team.wallet(), 40, category="gift", metadata={"note": "thanks", "asset": "x"})
    said = {
        "note": "thanks",
        "transfer_id": moved.pk,
        "asset": "credits",
        "transfer_category": "gift",
        "expiration_policy": "preserve",
    }
    (came,) = moved.inbound_transactions
    assert moved.outbound_transaction.metadata == {
        **said,
        "counterparty_wallet_id": receiver.pk,
        "counterparty_owner_id": receiver.owner_id,
        "counterparty_owner_type": "app.team",
    }
    assert came.metadata == {
        **said,
        "counterparty_wallet_id": sender.pk,
        "counterparty_owner_id": str(sender.owner_id),
        "counterparty_owner_type": "app.user",
    }
    assert moved.metadata == {"note": "thanks", "asset": "x"}


@pytest.mark.behaviour("TRF-17", "TRF-23", "EVT-17")
def test_events_come_in_order(sender: Wallet, receiver: Wallet) -> None:
    sender.credit(50, expires_at=START + days(1))
    sender.credit(50)
    with configured(LOW_BALANCE_THRESHOLD=10), capture_events() as events:
        moved = sender.transfer_to(receiver, 100, category="gift", metadata={"note": 1})
    assert names(events) == [
        "credits_deducted",
        "low_balance_reached",
        "balance_depleted",
        "credits_added",
        "credits_added",
        "transfer_completed",
    ]
    assert [context.wallet for context in events] == [sender] * 3 + [receiver] * 2 + [sender]
    last = events[-1]
    assert (last.transfer, last.amount, last.category, last.metadata) == (moved, 100, "gift", {"note": 1})
    assert last.owner == sender.owner


@pytest.mark.behaviour("TRF-18")
def test_receiver_hears_of_each_lot(sender: Wallet, receiver: Wallet) -> None:
    for number, amount in enumerate((40, 60, 100), start=1):
        sender.credit(amount, expires_at=START + days(number))
    with capture_events() as events:
        sender.transfer_to(receiver, 200)
    added = [context for context in events if context.event == "credits_added"]
    steps = [(context.previous_balance, context.new_balance) for context in added]
    assert steps == [(0, 40), (40, 100), (100, 200)]


@pytest.mark.behaviour("TRF-19")
def test_model_refuses_what_makes_no_sense(sender: Wallet, receiver: Wallet) -> None:
    fields: dict[str, Any] = {
        "from_wallet": sender,
        "to_wallet": receiver,
        "asset": "credits",
        "amount": 5,
        "category": "gift",
        "expiration_policy": "preserve",
    }
    Transfer(**fields).full_clean(exclude=["metadata"])
    gems = make_user().wallet("gems")
    bad: list[dict[str, Any]] = [
        {"to_wallet": sender},
        {"amount": 0},
        {"amount": -5},
        {"expiration_policy": "fresh"},
        {"asset": "gems"},
        {"to_wallet": gems},
        {"from_wallet": gems},
    ]
    for change in bad:
        with pytest.raises(ValidationError):
            Transfer(**fields | change).full_clean(exclude=["metadata"])
    for change in bad[:4]:
        with pytest.raises(IntegrityError), transaction.atomic():
            Transfer.objects.create(**fields | change)


@pytest.mark.behaviour("TRF-20", "DEC-10")
def test_expiry_in_the_next_microsecond_arrives(sender: Wallet, receiver: Wallet, clock: Any) -> None:
    sender.credit(10, expires_at=START + datetime.timedelta(microseconds=1))
    moved = sender.transfer_to(receiver, 10)
    assert receiver.balance == 10
    clock.shift(days(1))
    assert (sender.balance, receiver.balance, moved.amount) == (0, 0, 10)


def test_what_expired_is_booked_first_in_both(sender: Wallet, receiver: Wallet, clock: Any) -> None:
    for wallet in (sender, receiver):
        wallet.credit(10, expires_at=START + days(1))
        wallet.credit(5)
    clock.shift(days(2))
    with pytest.raises(InsufficientCredits):
        sender.transfer_to(receiver, 6)
    sender.transfer_to(receiver, 5)
    assert amounts_of(sender) == [10, 5, -10, -5]
    assert amounts_of(receiver) == [10, 5, -10, 5]


def test_what_arrives_settles_debts(sender: Wallet, receiver: Wallet) -> None:
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        receiver.debit(30)
        receiver.debit(20)
    add_lots(sender, 10, amount=4, expires_in=days(1))
    add_lots(sender, 10, amount=4)
    sender.transfer_to(receiver, 70)
    assert receiver.balance == 20
    assert remaining_of(receiver) == [0, 20]


def test_repeat_returns_the_first_transfer(sender: Wallet, receiver: Wallet, clock: Any) -> None:
    sender.credit(100)
    soon = START + days(1)
    first = sender.transfer_to(receiver, 80, expires_at=soon, idempotency_key="gift")
    clock.shift(days(2))
    with capture_events() as events:
        again = sender.transfer_to(receiver, 80, expires_at=soon, idempotency_key="gift")
    assert again == first
    assert (first.replayed, again.replayed) == (False, True)
    assert events == []
    assert (Transfer.objects.count(), sender.balance) == (1, 20)
    receiver.credit(100)
    assert not receiver.transfer_to(sender, 80, idempotency_key="gift").replayed


def test_key_of_something_else_is_refused(sender: Wallet, receiver: Wallet) -> None:
    sender.credit(100)
    sender.debit(10, idempotency_key="debit")
    sender.debit(10, category="transfer_out", idempotency_key="by hand")
    sender.transfer_to(receiver, 10, idempotency_key="gift")
    before = stored()
    for other, amount, options in [
        (receiver, 10, {"idempotency_key": "debit"}),
        (receiver, 10, {"idempotency_key": "by hand"}),
        (receiver, 11, {"idempotency_key": "gift"}),
        (receiver, 10, {"idempotency_key": "gift", "category": "loan"}),
        (make_wallet(), 10, {"idempotency_key": "gift"}),
    ]:
        with pytest.raises(IdempotencyConflict):
            sender.transfer_to(other, amount, **options)  # type: ignore[arg-type]
    assert stored()["usage_credits.Transaction"] == before["usage_credits.Transaction"]


@pytest.mark.behaviour("TRF-26")
def test_wallets_list_their_transfers(sender: Wallet, receiver: Wallet) -> None:
    sender.credit(100)
    gift = sender.transfer_to(receiver, 10, category="gift")
    loan = sender.transfer_to(receiver, 20, category="loan")
    back = receiver.transfer_to(sender, 5, category="loan")
    assert set(sender.outgoing_transfers.all()) == {gift, loan}
    assert set(sender.incoming_transfers.all()) == {back}
    assert list(sender.outgoing_transfers.of_category("gift")) == [gift]
    assert list(receiver.incoming_transfers.of_category("loan")) == [loan]


def test_refusal_leaves_the_callers_transaction_usable(sender: Wallet, receiver: Wallet) -> None:
    with transaction.atomic():
        with pytest.raises(InsufficientCredits):
            sender.transfer_to(receiver, 1)
        receiver.credit(5)
    assert receiver.balance == 5
    assert not Transfer.objects.exists()


def test_transfer_with_a_detached_owner(sender: Wallet, receiver: Wallet) -> None:
    sender.credit(10)
    Wallet.objects.filter(pk=receiver.pk).update(owner_type=None, owner_id=None)
    moved = sender.transfer_to(Wallet.objects.get(pk=receiver.pk), 10)
    assert moved.outbound_transaction.metadata["counterparty_owner_type"] is None

from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import (
    amounts_of,
    configured,
    days,
    lot_of,
    make_wallet,
    names,
    payments_of,
    remaining_of,
    stored,
)
from usage_credits import InvalidValue
from usage_credits.billing.refunds import Returned, settle_pack
from usage_credits.ledger.reversals import reversed_among
from usage_credits.ledger.verification import verify
from usage_credits.models import Debt, Fulfillment, Transaction, Transfer, Wallet
from usage_credits.testing import capture_events

START = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


@pytest.fixture(autouse=True)
def clock(db: None) -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as clock:
        yield clock
        assert list(verify()) == []


@pytest.fixture
def wallet() -> Wallet:
    return make_wallet()


def claims_of(wallet: Wallet) -> int:
    return Wallet.objects.get(pk=wallet.pk).claims


def sell(wallet: Wallet, amount: int = 100) -> tuple[Fulfillment, Transaction]:
    sold = Fulfillment.objects.create(wallet=wallet, kind="credit_pack", source="stripe", source_id="pi:1")
    return sold, wallet.credit(amount, category="credit_pack_purchase", fulfillment=sold)


@pytest.mark.behaviour("DEC-21")
def test_debit_is_given_back_for_each_expiry_that_paid_it(wallet: Wallet) -> None:
    for amount, expires_at in [(10, 1), (20, 1), (30, 2), (40, None)]:
        wallet.credit(amount, expires_at=START + days(expires_at) if expires_at else None)
    debit = wallet.debit(95)
    rows = debit.reverse(reason="not delivered")
    assert [(row.amount, row.expires_at) for row in rows] == [
        (30, START + days(1)),
        (30, START + days(2)),
        (35, None),
    ]
    assert {row.category for row in rows} == {"reversal"}
    assert {row.reverses for row in rows} == {debit}
    assert rows[0].metadata == {
        "reason": "not delivered",
        "reversed_transaction_id": debit.pk,
        "reversed_category": "credit_deducted",
    }
    assert [lot_of(row).remaining for row in rows] == [30, 30, 35]
    assert wallet.balance == 100


@pytest.mark.behaviour("DEC-21")
def test_priority_and_scope_come_back(wallet: Wallet) -> None:
    wallet.credit(10, priority=-1, scope=["report"])
    wallet.credit(10, priority=2)
    wallet.credit(10)
    rows = wallet.debit(25, operation="report").reverse()
    lots = [lot_of(row) for row in rows]
    assert [(lot.amount, lot.priority, lot.scope) for lot in lots] == [
        (10, -1, ("report",)),
        (10, 0, None),
        (5, 2, None),
    ]
    assert (wallet.available_for(), wallet.available_for("report")) == (20, 30)
    assert [operation for (operation,) in wallet.history().values_list("operation")] == [
        None,
        None,
        None,
        "report",
        None,
        None,
        None,
    ]


@pytest.mark.behaviour("DEC-21")
def test_parts_that_expired_meanwhile_expire_at_once(wallet: Wallet, clock: Any) -> None:
    wallet.credit(10, expires_at=START + days(1))
    wallet.credit(20, expires_at=START + days(5))
    debit = wallet.debit(25)
    clock.shift(days(2))
    with capture_events() as events:
        rows = debit.reverse()
    assert [row.amount for row in rows] == [10, 15]
    assert amounts_of(wallet) == [10, 20, -25, 10, -10, 15]
    assert remaining_of(wallet) == [0, 5, 0, 15]
    assert wallet.balance == 20
    assert names(events) == ["credits_added", "credits_expired", "credits_added"]


@pytest.mark.behaviour("DEC-21")
def test_what_a_debit_owes_lowers_the_debt(wallet: Wallet) -> None:
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        wallet.credit(10, expires_at=START + days(1))
        debit = wallet.debit(25)
        rows = debit.reverse()
    assert [(row.amount, row.expires_at) for row in rows] == [(15, None), (10, START + days(1))]
    assert (wallet.balance, remaining_of(wallet)) == (10, [0, 0, 10])
    assert debit.unbacked == 0


def test_debit_that_an_ending_hold_settled_comes_back_with_the_expiry_of_what_was_held(
    wallet: Wallet, clock: Any
) -> None:
    wallet.credit(10, expires_at=START + days(2))
    wallet.hold(10, ttl=days(1))
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        debit = wallet.debit(10)
    clock.shift(days(1))
    (row,) = debit.reverse()
    assert (row.amount, row.expires_at) == (10, START + days(2))
    clock.shift(days(1))
    assert wallet.balance == 0


@pytest.mark.behaviour("DEC-21")
def test_what_expired_settles_no_debt(wallet: Wallet, clock: Any) -> None:
    wallet.credit(10, expires_at=START + days(1))
    debit = wallet.debit(10)
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        wallet.debit(7)
    clock.shift(days(2))
    debit.reverse()
    assert wallet.balance == -7


def test_reversal_settles_the_debts_of_others_too(wallet: Wallet) -> None:
    wallet.credit(30)
    debit = wallet.debit(30)
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        other = wallet.debit(20)
    debit.reverse()
    assert (wallet.balance, other.unbacked) == (10, 0)


@pytest.mark.behaviour("DEC-21")
@pytest.mark.parametrize("kind", ["debit", "credit", "spent credit", "transfer"])
def test_row_is_reversed_once(wallet: Wallet, kind: str) -> None:
    row: Transaction | Transfer = wallet.credit(50, expires_at=START + days(1))
    if kind != "credit":
        debit = wallet.debit(50)
        row = debit if kind == "debit" else row
    if kind == "transfer":
        wallet.credit(50)
        row = wallet.transfer_to(make_wallet(), 50)
    first = row.reverse(reason="once")
    before = stored()
    with capture_events() as events:
        again = row.reverse(reason="twice")
    assert again == first
    assert all(one.replayed for one in again)
    assert not any(one.replayed for one in first)
    assert events == []
    assert stored() == before


def test_credit_is_taken_from_its_own_lot(wallet: Wallet) -> None:
    wallet.credit(100, expires_at=START + days(1))
    gift = wallet.credit(40)
    (row,) = gift.reverse(reason="mistake")
    assert (row.amount, row.category, row.reverses, row.wallet) == (-40, "reversal", gift, wallet)
    assert payments_of(row) == [(lot_of(gift).pk, 40)]
    assert (wallet.balance, claims_of(wallet)) == (100, 0)


def test_what_was_spent_of_a_credit_is_claimed_from_the_next(wallet: Wallet) -> None:
    gift = wallet.credit(100, idempotency_key="gift")
    wallet.debit(70)
    (row,) = gift.reverse(reason="mistake")
    assert (row.amount, wallet.balance, claims_of(wallet)) == (-30, 0, 70)
    wallet.credit(50)
    with capture_events() as events:
        wallet.credit(50)
    assert (wallet.balance, claims_of(wallet)) == (30, 0)
    assert names(events) == ["credits_added", "credits_deducted"]
    rows = Transaction.objects.filter(reverses=gift).order_by("pk")
    assert [one.amount for one in rows] == [-30, -50, -20]
    assert rows[2].metadata == row.metadata
    assert [one.pk for one in gift.reverse()] == [one.pk for one in rows]


def test_what_expired_of_a_credit_is_not_claimed(wallet: Wallet, clock: Any) -> None:
    gift = wallet.credit(100, expires_at=START + days(1))
    bonus = wallet.credit(100, expires_at=START + days(2))
    wallet.debit(30)
    clock.shift(days(1.5))
    wallet.credit(1)
    clock.shift(days(1))
    assert (gift.reverse(), bonus.reverse()) == ([], [])
    assert (wallet.balance, claims_of(wallet)) == (1, 30)


def test_what_is_held_of_a_credit_is_claimed(wallet: Wallet) -> None:
    gift = wallet.credit(100)
    hold = wallet.hold(60)
    (row,) = gift.reverse()
    assert (row.amount, wallet.balance, wallet.held, claims_of(wallet)) == (-40, 60, 60, 60)
    hold.release()
    assert (wallet.balance, claims_of(wallet)) == (60, 60)


def test_reversal_never_takes_a_balance_below_zero(wallet: Wallet) -> None:
    gift = wallet.credit(20)
    hold = wallet.hold(20)
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        wallet.debit(15)
        hold.release()
        gift.reverse()
    assert wallet.balance == 0


def test_award_that_was_reversed_is_not_refunded_again(wallet: Wallet) -> None:
    sold, award = sell(wallet)
    wallet.debit(60)
    award.reverse()
    settle_pack(sold, lambda: Returned(amount=100, refunded=100))
    assert (amounts_of(wallet), claims_of(wallet)) == ([100, -60, -40], 60)
    wallet.credit(80)
    settle_pack(sold, lambda: Returned(amount=100, refunded=100))
    assert (wallet.balance, claims_of(wallet)) == (20, 0)


@pytest.mark.parametrize("spent", [0, 60])
def test_award_that_was_refunded_is_not_reversed_again(wallet: Wallet, spent: int) -> None:
    sold, award = sell(wallet)
    if spent:
        wallet.debit(spent)
        wallet.credit(20)
    settle_pack(sold, lambda: Returned(amount=100, refunded=100))
    assert award.reverse() == []
    assert (wallet.balance, claims_of(wallet)) == (0, 40 if spent else 0)


def test_rest_of_a_refunded_award_is_reversed(wallet: Wallet) -> None:
    sold, award = sell(wallet)
    settle_pack(sold, lambda: Returned(amount=100, refunded=30))
    (row,) = award.reverse()
    assert (row.amount, wallet.balance, claims_of(wallet)) == (-70, 0, 0)
    settle_pack(sold, lambda: Returned(amount=100, refunded=100))
    assert wallet.balance == 0


def test_claim_paid_from_another_award_leaves_that_refundable(wallet: Wallet) -> None:
    gift = wallet.credit(30)
    wallet.debit(30)
    gift.reverse()
    sold, _award = sell(wallet)
    assert wallet.balance == 70
    settle_pack(sold, lambda: Returned(amount=100, refunded=100))
    assert (wallet.balance, claims_of(wallet)) == (0, 30)
    assert -sum(row.amount for row in sold.transactions.filter(category="credit_pack_refund")) == 70


def test_rows_that_were_reversed_are_told_by_three_statements(wallet: Wallet) -> None:
    other = make_wallet()
    spent, kept = wallet.credit(50), wallet.credit(50)
    debit = wallet.debit(60)
    moved = wallet.transfer_to(other, 20)
    rows = [spent, kept, debit, *moved.transactions.all(), wallet.debit(1)]
    assert reversed_among(rows) == set()
    for done in (spent, debit, moved):
        done.reverse()
    with CaptureQueriesContext(connection) as statements:
        assert reversed_among(rows) == {spent.pk, debit.pk, *moved.transactions.values_list("pk", flat=True)}
    assert len(statements) == 3 + 1  # the last reads the legs to compare with
    assert reversed_among([]) == set()


def test_rows_that_stay_are_refused(wallet: Wallet, clock: Any) -> None:
    sold, _award = sell(wallet)
    wallet.credit(10, expires_at=START + days(1))
    debit = wallet.debit(5)
    reversal = debit.reverse()[0]
    settle_pack(sold, lambda: Returned(amount=100, refunded=10))
    moved = wallet.transfer_to(make_wallet(), 5)
    clock.shift(days(2))
    wallet.credit(1)
    expiration = wallet.transactions.filter(category="expiration").latest("pk")
    refund = sold.transactions.get(category="credit_pack_refund")
    before = stored()
    for row in (
        reversal,
        expiration,
        refund,
        *moved.transactions.all(),
        Transaction(wallet=wallet, amount=5),
    ):
        with pytest.raises(InvalidValue, match=r"^transaction"):
            row.reverse()
    with pytest.raises(InvalidValue, match=r"^reason"):
        debit.reverse(reason=" ")
    assert stored() == before


def test_transfer_goes_back_as_it_came() -> None:
    sender, receiver = make_wallet(), make_wallet()
    sender.credit(30, expires_at=START + days(1))
    sender.credit(30)
    moved = sender.transfer_to(receiver, 50)
    receiver.credit(7)
    with capture_events() as events:
        rows = moved.reverse(reason="wrong wallet")
    assert [(row.wallet, row.amount, row.expires_at) for row in rows] == [
        (receiver, -30, None),
        (receiver, -20, None),
        (sender, 30, START + days(1)),
        (sender, 20, None),
    ]
    assert {row.metadata["transfer_id"] for row in rows} == {moved.pk}
    assert [row.reverses_id for row in rows[:2]] == [row.pk for row in moved.inbound_transactions]
    assert {row.reverses for row in rows[2:]} == {moved.outbound_transaction}
    assert (sender.balance, receiver.balance) == (60, 7)
    assert names(events) == ["credits_deducted"] * 2 + ["credits_added"] * 2


def test_what_the_receiver_spent_is_claimed() -> None:
    sender, receiver = make_wallet(100), make_wallet()
    moved = sender.transfer_to(receiver, 50)
    receiver.debit(20)
    moved.reverse()
    assert (sender.balance, receiver.balance, claims_of(receiver)) == (100, 0, 20)
    receiver.credit(30)
    assert (receiver.balance, claims_of(receiver)) == (10, 0)
    assert Debt.objects.get().reverses == moved.inbound_transaction


def test_what_expired_since_the_transfer_is_gone_on_both_sides(clock: Any) -> None:
    sender, receiver = make_wallet(), make_wallet()
    sender.credit(30, expires_at=START + days(1))
    sender.credit(30)
    moved = sender.transfer_to(receiver, 50)
    clock.shift(days(2))
    moved.reverse()
    assert (sender.balance, receiver.balance, claims_of(receiver)) == (30, 0, 0)
    assert amounts_of(sender) == [30, 30, -50, 30, -30, 20]
    assert amounts_of(receiver) == [30, 20, -30, -20]


def test_what_the_receiver_held_may_expire_after_the_reversal(clock: Any) -> None:
    sender, receiver = make_wallet(), make_wallet()
    sender.credit(50, expires_at=START + days(1))
    moved = sender.transfer_to(receiver, 50)
    held = receiver.hold(20, ttl=days(3))
    moved.reverse()
    assert (sender.balance, receiver.balance, claims_of(receiver)) == (50, 20, 20)
    clock.shift(days(2))
    held.release()
    assert (sender.balance, receiver.balance, claims_of(receiver)) == (0, 0, 20)

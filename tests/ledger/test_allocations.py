from __future__ import annotations

from typing import Any

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.utils import timezone

from tests.factories import configured, days, lot_of, make_wallet, payments_of, remaining_of
from usage_credits import InsufficientCredits
from usage_credits.models import Allocation, Transaction

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("clock")]


@pytest.fixture
def clock() -> Any:
    with time_machine.travel("2026-01-01T12:00:00+00:00", tick=False) as clock:
        yield clock


@pytest.mark.behaviour("ALO-01", "ALO-05")
def test_soonest_expiry_pays_first_and_never_expiring_last() -> None:
    wallet = make_wallet(100)
    b = lot_of(wallet.credit(100, expires_at=timezone.now() + days(20)))
    a = lot_of(wallet.credit(100, expires_at=timezone.now() + days(10)))
    assert payments_of(wallet.debit(150)) == [(a.pk, 100), (b.pk, 50)]
    assert remaining_of(wallet) == [100, 50, 0]


@pytest.mark.behaviour("ALO-02")
def test_lots_of_one_expiry_pay_in_the_order_of_insertion() -> None:
    wallet = make_wallet()
    moment = timezone.now() + days(1)
    first, second = (lot_of(wallet.credit(10, expires_at=moment)) for _ in range(2))
    assert payments_of(wallet.debit(15)) == [(first.pk, 10), (second.pk, 5)]


@pytest.mark.behaviour("ALO-03")
def test_never_expiring_lots_pay_in_the_order_of_insertion(clock: Any) -> None:
    wallet = make_wallet()
    first = lot_of(wallet.credit(10))
    clock.shift(-days(5))
    second = lot_of(wallet.credit(10))
    assert second.transaction.created_at < first.transaction.created_at
    assert payments_of(wallet.debit(15)) == [(first.pk, 10), (second.pk, 5)]


@pytest.mark.behaviour("ALO-04")
def test_expired_lots_pay_nothing(clock: Any) -> None:
    wallet = make_wallet()
    wallet.credit(100, expires_at=timezone.now() + days(1))
    clock.shift(days(1))
    with pytest.raises(InsufficientCredits) as refusal:
        wallet.debit(1)
    assert refusal.value.available == 0
    fresh = lot_of(wallet.credit(10))
    assert payments_of(wallet.debit(10)) == [(fresh.pk, 10)]


@pytest.mark.behaviour("ALO-05", "ALO-06")
def test_a_debit_takes_whole_lots_and_part_of_the_last() -> None:
    wallet = make_wallet()
    lots = [lot_of(wallet.credit(100)) for _ in range(3)]
    row = wallet.debit(250)
    assert payments_of(row) == [(lots[0].pk, 100), (lots[1].pk, 100), (lots[2].pk, 50)]
    last = wallet.debit(50)
    assert payments_of(last) == [(lots[2].pk, 50)]


def build(credit: Transaction, debit: Transaction, amount: Any) -> Allocation:
    return Allocation(wallet=credit.wallet, debit=debit, lot=lot_of(credit), amount=amount)


@pytest.mark.behaviour("ALO-07")
def test_allocation_is_valid_up_to_what_the_lot_has_left() -> None:
    wallet = make_wallet()
    credit = wallet.credit(100)
    debit = wallet.debit(20)
    build(credit, debit, 80).full_clean()
    with pytest.raises(ValidationError) as refusal:
        build(credit, debit, 81).full_clean()
    assert set(refusal.value.message_dict) == {"amount"}
    wallet.debit(80)
    assert remaining_of(wallet) == [0]


@pytest.mark.behaviour("ALO-08")
@pytest.mark.parametrize("amount", [0, -1, 10.5, None, "many"])
def test_allocation_of_no_whole_number_is_invalid(amount: Any) -> None:
    wallet = make_wallet()
    credit = wallet.credit(100)
    with pytest.raises(ValidationError) as refusal:
        build(credit, wallet.debit(20), amount).full_clean()
    assert "amount" in refusal.value.message_dict


@pytest.mark.behaviour("ALO-09")
def test_stored_allocation_stays_valid() -> None:
    wallet = make_wallet(10)
    wallet.debit(10).allocations.get().full_clean()


def test_allocation_between_wallets_or_for_a_credit_is_invalid() -> None:
    wallet, other = make_wallet(), make_wallet(10)
    credit = wallet.credit(100)
    with pytest.raises(ValidationError) as refusal:
        build(credit, other.debit(5), 5).full_clean()
    assert "lot" in refusal.value.message_dict
    with pytest.raises(ValidationError) as refusal:
        build(credit, credit, 5).full_clean()
    assert "debit" in refusal.value.message_dict


@pytest.mark.behaviour("ALO-10")
def test_remaining_is_what_allocations_left() -> None:
    wallet = make_wallet()
    credit = wallet.credit(100)
    debits = [wallet.debit(30), wallet.debit(20)]
    credit = Transaction.objects.get(pk=credit.pk)
    assert credit.remaining == 100 - sum(amount for row in debits for _, amount in payments_of(row)) == 50
    assert [row.remaining for row in debits] == [0, 0]


@pytest.mark.behaviour("ALO-11")
def test_unbacked_is_what_no_lot_has_paid() -> None:
    wallet = make_wallet()
    credit = wallet.credit(10)
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        debit = wallet.debit(25)
    assert (credit.unbacked, debit.unbacked) == (0, 15)
    wallet.credit(5)
    assert debit.unbacked == 10
    wallet.credit(50)
    assert debit.unbacked == 0
    assert wallet.debit(10).unbacked == 0


@pytest.mark.behaviour("ALO-12")
def test_what_was_spent_of_an_expired_lot_costs_nothing_else(clock: Any) -> None:
    wallet = make_wallet()
    wallet.credit(100, expires_at=timezone.now() + days(1))
    wallet.debit(40)
    wallet.credit(50)
    clock.shift(days(2))
    assert wallet.balance == 50

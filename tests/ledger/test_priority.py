from __future__ import annotations

from typing import Any

import pytest
import time_machine
from django.utils import timezone

from tests import bad_values
from tests.factories import (
    configured,
    days,
    lot_of,
    make_user,
    make_wallet,
    payments_of,
    remaining_of,
    stored,
)
from usage_credits import InvalidValue
from usage_credits.ledger.entries import CreditEntry, DebitEntry
from usage_credits.ledger.journal import posting
from usage_credits.ledger.verification import verify

pytestmark = pytest.mark.django_db


def test_lower_priority_is_spent_before_what_expires_sooner() -> None:
    wallet = make_wallet()
    soon = lot_of(wallet.credit(10, expires_at=timezone.now() + days(1), priority=1))
    later = lot_of(wallet.credit(10))
    first = lot_of(wallet.credit(10, priority=-1))
    assert payments_of(wallet.debit(25)) == [(first.pk, 10), (later.pk, 10), (soon.pk, 5)]


def test_one_priority_keeps_the_order_of_expiry_and_of_insertion() -> None:
    wallet = make_wallet()
    now = timezone.now()
    never, same, later, soon = (
        lot_of(wallet.credit(10, expires_at=expires_at, priority=-5))
        for expires_at in (None, None, now + days(2), now + days(1))
    )
    paid = [pk for pk, _ in payments_of(wallet.debit(40))]
    assert paid == [soon.pk, later.pk, never.pk, same.pk]


def test_an_owner_is_given_credits_with_a_priority() -> None:
    user = make_user(10)
    row = user.give_credits(5, reason="referral", priority=-32768)
    assert lot_of(row).priority == -32768
    assert lot_of(user.give_credits(5, priority=32767)).priority == 32767
    user.wallet().debit(7)
    assert remaining_of(user.wallet()) == [8, 0, 5]


def test_holds_take_and_give_back_by_priority() -> None:
    wallet = make_wallet(10)
    wallet.credit(10, priority=-1)
    hold = wallet.hold(15)
    assert remaining_of(wallet) == [5, 0]
    hold.release()
    wallet.debit(5)
    assert remaining_of(wallet) == [10, 5]


def test_debits_of_a_batch_follow_priority_also_after_a_hold_ran_out() -> None:
    wallet = make_wallet(10)
    wallet.credit(10, priority=-1)
    wallet.hold(10, ttl=days(1))
    with time_machine.travel(timezone.now() + days(2), tick=False):
        wallet.debit_many([5, 4])
    assert remaining_of(wallet) == [10, 1]
    assert list(verify()) == []


def test_a_credit_is_spent_in_its_turn_by_the_write_that_adds_it() -> None:
    wallet = make_wallet(10)
    with posting(wallet, takes=True) as post:
        for amount, priority in ((4, 1), (3, -1), (2, -1)):
            post.credit(CreditEntry(amount, "bonus", priority=priority))
        post.debit(DebitEntry(4, "credit_deducted"), allow_negative=False)
    assert remaining_of(wallet) == [10, 4, 0, 1]
    assert list(verify()) == []


def test_transfers_and_their_reversals_keep_the_priority() -> None:
    wallet, other = make_wallet(), make_wallet()
    wallet.credit(10, priority=1)
    wallet.credit(10, priority=-1)
    transfer = wallet.transfer_to(other, 15)
    assert [(lot.priority, lot.remaining) for lot in other.lots.in_spending_order()] == [(-1, 10), (1, 5)]
    transfer.reverse()
    assert [(lot.priority, lot.remaining) for lot in wallet.lots.open().in_spending_order()] == [
        (-1, 10),
        (1, 5),
        (1, 5),
    ]
    assert list(verify()) == []


def test_dry_runs_follow_priority() -> None:
    wallet = make_wallet(10)
    first = lot_of(wallet.credit(10, priority=-1))
    assert [(share.lot, share.amount) for share in wallet.plan_debit(5).lots] == [(first.pk, 5)]


@pytest.mark.parametrize("priority", bad_values.PRIORITIES, ids=bad_values.named)
def test_refuse_what_is_no_priority(priority: Any) -> None:
    user = make_user()
    wallet, before = user.wallet(), stored()
    for call in (wallet.credit, user.give_credits):
        with pytest.raises(InvalidValue) as refusal:
            call(5, priority=priority)
        assert refusal.value.field == "priority"
    assert stored() == before


def test_debts_are_settled_whatever_the_priority() -> None:
    wallet = make_wallet()
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        debt = wallet.debit(5)
    wallet.credit(10, priority=9)
    assert (debt.unbacked, wallet.balance) == (0, 5)

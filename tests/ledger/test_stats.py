from __future__ import annotations

from typing import Any

import pytest
import time_machine
from django.db import connection
from django.db.models import Sum
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import add_history, configured, days, make_user, make_wallet
from usage_credits import InvalidValue, ledger_stats
from usage_credits.billing.refunds import Returned, settle_pack
from usage_credits.ledger.expiry import book_expired
from usage_credits.ledger.stats import LedgerStats
from usage_credits.models import Fulfillment, Lot, Wallet

pytestmark = pytest.mark.django_db


def stats(
    issued: int, spent: int, *, expired: int = 0, refunded: int = 0, transferred: int = 0
) -> LedgerStats:
    outstanding = issued - spent - expired - refunded + transferred
    return LedgerStats(issued, spent, expired, refunded, transferred, outstanding)


@pytest.mark.behaviour("STA-01")
def test_issued_spent_and_outstanding() -> None:
    assert ledger_stats() == stats(0, 0)
    wallet = make_wallet(60)
    make_wallet(40)
    wallet.debit(30)
    assert ledger_stats() == LedgerStats(100, 30, 0, 0, 0, outstanding=70)
    assert ledger_stats(wallet=wallet) == ledger_stats(owner=wallet.owner) == stats(60, 30)


@pytest.mark.behaviour("STA-02", "BAL-12")
def test_what_expired_is_told_booked_or_not() -> None:
    with time_machine.travel("2026-01-01", tick=False) as clock:
        wallet = make_wallet(100)
        wallet.credit(50, expires_at=timezone.now() + days(1))
        wallet.credit(20, expires_at=timezone.now() + days(9))
        wallet.debit(30)
        clock.shift(days(1))
        left = Lot.objects.filter(wallet=wallet, expires_at__lte=timezone.now()).aggregate(
            left=Sum("remaining")
        )
        assert left == {"left": 20}
        found = ledger_stats(wallet=wallet)
        assert found == ledger_stats() == stats(170, 30, expired=20)
        assert found.issued - found.spent - found.expired == found.outstanding == wallet.balance == 120
        list(book_expired())
        assert ledger_stats(wallet=wallet) == ledger_stats() == found


@pytest.mark.behaviour("STA-03")
def test_transfers_inflate_nothing() -> None:
    first, second = make_wallet(100), make_wallet(50)
    first.transfer_to(second, 40)
    second.transfer_to(first, 10)
    assert ledger_stats() == stats(150, 0)
    assert ledger_stats(wallet=first) == stats(100, 0, transferred=-30)
    assert ledger_stats(wallet=second) == stats(50, 0, transferred=30)


@pytest.mark.behaviour("STA-03")
def test_reversed_transfer_inflates_nothing() -> None:
    first, second = make_wallet(100), make_wallet()
    moved = first.transfer_to(second, 40)
    second.debit(15)
    moved.reverse()
    # The sender has all of it again, and the receiver owes what it spent.
    assert ledger_stats() == stats(100, 15, transferred=15)
    second.credit(20)
    assert ledger_stats() == stats(120, 15)
    assert ledger_stats(wallet=first) == stats(100, 0)
    assert ledger_stats(wallet=second) == stats(20, 15)


def test_reversals_undo_what_they_reverse() -> None:
    wallet = make_wallet(100)
    wallet.debit(30).reverse()
    assert ledger_stats() == stats(100, 0)
    wallet.credit(50).reverse()
    assert ledger_stats() == stats(100, 0)
    granted = wallet.credit(50)
    wallet.debit(120)
    granted.reverse()
    assert ledger_stats() == stats(120, 120)
    wallet.credit(40)
    assert ledger_stats() == stats(140, 120)
    assert ledger_stats().outstanding == wallet.balance


def test_reversal_of_a_charge_whose_lot_has_expired() -> None:
    with time_machine.travel("2026-01-01", tick=False) as clock:
        wallet = make_wallet()
        wallet.credit(50, expires_at=timezone.now() + days(1))
        charge = wallet.debit(30)
        clock.shift(days(2))
        charge.reverse()
        assert ledger_stats() == stats(50, 0, expired=50)


@pytest.mark.behaviour("STA-04")
def test_refunds_are_a_figure_of_their_own() -> None:
    wallet = make_wallet(10)
    sold = Fulfillment.objects.create(wallet=wallet, kind="credit_pack", source="stripe", source_id="pi:1")
    wallet.credit(100, category="credit_pack_purchase", fulfillment=sold)
    wallet.debit(20)
    settle_pack(sold, lambda: Returned(amount=100, refunded=50))
    assert ledger_stats() == stats(110, 20, refunded=50)
    settle_pack(sold, lambda: Returned(amount=100, refunded=20))
    assert ledger_stats() == stats(110, 20, refunded=20)
    assert ledger_stats().outstanding == wallet.balance == 70


def test_what_a_cap_takes_counts_as_expired() -> None:
    wallet = make_wallet(100)
    wallet.debit(40, category="rollover_excess")
    assert ledger_stats() == stats(100, 0, expired=40)


def test_rows_posted_by_hand_as_reversals_are_counted() -> None:
    wallet = make_wallet(100)
    wallet.debit(30, category="reversal")
    wallet.credit(10, category="reversal")
    assert ledger_stats() == stats(110, 30)


def test_debts_and_holds_stay_outstanding() -> None:
    wallet = make_wallet(10)
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        wallet.debit(25)
    assert ledger_stats() == LedgerStats(10, 25, 0, 0, 0, outstanding=-15)
    other = make_wallet(30)
    hold = other.hold(20)
    assert ledger_stats(wallet=other) == stats(30, 0)
    hold.capture(5)
    assert ledger_stats(wallet=other) == stats(30, 5)


def test_assets_are_apart() -> None:
    user = make_user(100)
    user.wallet("gems").credit(7)
    assert ledger_stats() == stats(100, 0)
    assert ledger_stats(asset="Gems") == ledger_stats(owner=user, asset="gems") == stats(7, 0)
    assert ledger_stats(wallet=user.wallet("gems")) == stats(7, 0)
    assert ledger_stats(asset="pearls") == stats(0, 0)


@pytest.mark.parametrize("options", [{"owner": True}, {"asset": "gems"}])
def test_refuse_anything_beside_a_wallet(options: dict[str, Any]) -> None:
    wallet = make_wallet()
    if "owner" in options:
        options = {"owner": wallet.owner}
    with pytest.raises(InvalidValue):
        ledger_stats(wallet=wallet, **options)


def test_read_by_two_statements() -> None:
    wallet = make_wallet()
    add_history(wallet, 1_000)
    with CaptureQueriesContext(connection) as captured:
        assert ledger_stats() == stats(500, 500)
    assert len(captured) == 2
    assert Wallet.objects.get().booked_balance == 0

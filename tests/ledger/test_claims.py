from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine

from tests.factories import (
    amounts_of,
    configured,
    days,
    lot_of,
    make_wallet,
    names,
    payments_of,
    remaining_of,
)
from usage_credits.billing.refunds import Returned, settle_pack
from usage_credits.ledger.verification import verify
from usage_credits.models import Debt, Fulfillment, Transaction, Wallet
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


def sell(wallet: Wallet, payment: str, amount: int = 100) -> Fulfillment:
    sold = Fulfillment.objects.create(
        wallet=wallet,
        kind="credit_pack",
        source="stripe",
        source_id=payment,
        as_sold={"pack_name": "starter"},
    )
    wallet.credit(amount, category="credit_pack_purchase", fulfillment=sold, idempotency_key=payment)
    return sold


def refund(sold: Fulfillment, cents: int, *, of: int = 100) -> None:
    settle_pack(sold, lambda: Returned(amount=of, refunded=cents, charge_id="ch_1"))


def claims_of(wallet: Wallet) -> tuple[int, list[int]]:
    wallet.refresh_from_db()
    return wallet.claims, list(wallet.debts.order_by("pk").values_list("open_amount", flat=True))


@pytest.mark.behaviour("DEC-16")
def test_claims_are_outside_balance_and_ledger(wallet: Wallet) -> None:
    sold = sell(wallet, "pi:1")
    wallet.debit(90)
    refund(sold, 100)
    assert amounts_of(wallet) == [100, -90, -10]
    assert (wallet.balance, claims_of(wallet)) == (0, (90, [90]))


@pytest.mark.behaviour("DEC-16")
def test_credits_pay_claims_oldest_first(wallet: Wallet) -> None:
    first, second = sell(wallet, "pi:1"), sell(wallet, "pi:2")
    wallet.debit(200)
    refund(second, 40)
    refund(first, 30)
    wallet.credit(25)
    assert claims_of(wallet) == (45, [15, 30])
    with capture_events() as events:
        credit = wallet.credit(60)
    assert claims_of(wallet) == (0, [0, 0])
    assert wallet.balance == 15
    rows = Transaction.objects.filter(category="credit_pack_refund").order_by("pk")
    assert [(row.amount, row.idempotency_key) for row in rows] == [
        (-25, "pi:2:clawback:1"),
        (-15, "pi:2:clawback:2"),
        (-30, "pi:1:clawback:1"),
    ]
    last = rows[2]
    assert last.fulfillment == first
    assert payments_of(last) == [(lot_of(credit).pk, 30)]
    assert last.metadata == {
        "pack_name": "starter",
        "payment": "pi:1",
        "charge_id": "ch_1",
        "refunded": True,
        "refunded_at": START.isoformat(),
        "charged_cents": 100,
        "refunded_cents": 30,
        "disputed_cents": 0,
        "ratio": "30/100",
        "incremental_credits": 30,
        "cumulative_credits": 30,
    }
    refunded = ["credits_deducted", "credits_refunded"]
    assert names(events) == ["credits_added", *refunded, *refunded]


@pytest.mark.behaviour("DEC-16")
def test_credits_settle_debts_before_claims(wallet: Wallet) -> None:
    sold = sell(wallet, "pi:1")
    wallet.debit(100)
    refund(sold, 100)
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        wallet.debit(30)
    wallet.credit(50)
    assert claims_of(wallet) == (80, [80])
    assert wallet.balance == 0


def test_credit_that_expires_pays_claims_too(wallet: Wallet, clock: Any) -> None:
    sold = sell(wallet, "pi:1")
    wallet.debit(100)
    refund(sold, 100)
    wallet.credit(130, expires_at=START + days(1))
    assert (remaining_of(wallet), claims_of(wallet)) == ([0, 30], (0, [0]))
    clock.shift(days(2))
    wallet.credit(1)
    assert wallet.balance == 1


def test_grant_under_a_used_key_pays_nothing_again(wallet: Wallet) -> None:
    sold = sell(wallet, "pi:1")
    wallet.debit(100)
    refund(sold, 100)
    for _time in range(2):
        wallet.credit(40, idempotency_key="gift")
    assert claims_of(wallet) == (60, [60])


def test_keys_of_payments_that_differ_by_case_are_kept_apart(wallet: Wallet) -> None:
    small, large = sell(wallet, "pi:a"), sell(wallet, "pi:A")
    wallet.debit(200)
    refund(small, 50)
    refund(large, 50)
    wallet.credit(70)
    assert claims_of(wallet) == (30, [0, 30])
    refund(small, 50)
    refund(large, 20)
    assert claims_of(wallet) == (0, [0, 0])
    assert wallet.balance == 0


def test_claim_falls_and_rises_with_the_refund(wallet: Wallet) -> None:
    sold = sell(wallet, "pi:1")
    wallet.debit(100)
    refund(sold, 60)
    refund(sold, 20)
    assert claims_of(wallet) == (20, [20])
    refund(sold, 0)
    assert claims_of(wallet) == (0, [0])
    refund(sold, 100)
    assert claims_of(wallet) == (100, [100])
    assert Debt.objects.get().amount == 160
    assert amounts_of(wallet) == [100, -100]


def test_what_is_given_back_pays_the_claims_of_other_payments(wallet: Wallet) -> None:
    first, second = sell(wallet, "pi:1"), sell(wallet, "pi:2")
    refund(first, 100)
    wallet.debit(100)
    refund(second, 70)
    assert claims_of(wallet) == (70, [70])
    refund(first, 0)
    assert amounts_of(wallet) == [100, 100, -100, -100, 100, -70]
    assert (wallet.balance, claims_of(wallet)) == (30, (0, [0]))


def test_claim_becomes_a_debt_once_negatives_are_allowed(wallet: Wallet) -> None:
    sold = sell(wallet, "pi:1")
    wallet.debit(100)
    refund(sold, 100)
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        refund(sold, 100)
    assert (wallet.balance, claims_of(wallet)) == (-100, (0, [0]))


def test_take_back_only_what_was_not_reversed(wallet: Wallet) -> None:
    sold = sell(wallet, "pi:1")
    wallet.debit(40, category="reversal", fulfillment=sold)
    wallet.credit(500)
    refund(sold, 50)
    refund(sold, 100)
    refund(sold, 0)
    assert amounts_of(wallet) == [100, -40, 500, -30, -30, 60]


def test_refund_posted_by_hand_counts(wallet: Wallet) -> None:
    sold = sell(wallet, "pi:1")
    wallet.debit(40, category="credit_pack_refund", fulfillment=sold)
    refund(sold, 100)
    assert amounts_of(wallet) == [100, -40, -60]


@pytest.mark.parametrize("returned", [Returned(amount=0, refunded=0), Returned(amount=10, refunded=11)])
def test_take_nothing_where_the_figures_make_no_sense(wallet: Wallet, returned: Returned) -> None:
    sold = sell(wallet, "pi:1")
    settle_pack(sold, lambda: returned)
    assert amounts_of(wallet) == [100]


def test_history_lists_refunds(wallet: Wallet) -> None:
    sold = sell(wallet, "pi:1")
    refund(sold, 50)
    refund(sold, 20)
    assert [(row.category, row.amount) for row in wallet.history()] == [
        ("credit_pack_purchase", 100),
        ("credit_pack_refund", -50),
        ("credit_pack_refund", 30),
    ]

from __future__ import annotations

from typing import Any

import pytest
import time_machine
from django.utils import timezone

from tests.app.models import User
from tests.factories import add_history, add_lots, configured, days, make_user, make_wallet
from tests.ledger.statements import count_statements, sent
from usage_credits import InsufficientCredits, Operation, token_rates
from usage_credits.billing.refunds import Returned, settle_pack
from usage_credits.ledger.verification import verify
from usage_credits.models import Allocation, Fulfillment, Transfer, Wallet

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def user() -> User:
    return make_user()


@pytest.fixture
def wallet(user: User) -> Wallet:
    return user.wallet()


@pytest.mark.parametrize("rows", [10, 100_000])
def test_statements_do_not_depend_on_history(user: User, wallet: Wallet, rows: int) -> None:
    add_history(wallet, rows)
    assert wallet.transactions.count() == rows
    assert count_statements(lambda: wallet.credit(100)) == sent(7, together=3)
    assert count_statements(lambda: wallet.credit(100, idempotency_key="top-up")) == sent(8, together=3)
    assert count_statements(lambda: wallet.debit(5)) == sent(8, together=4)
    assert count_statements(lambda: wallet.debit(5, idempotency_key="paid")) == sent(9, together=4)
    assert count_statements(lambda: wallet.debit(5, idempotency_key="paid")) == 4
    assert count_statements(lambda: wallet.balance) == 1
    assert count_statements(lambda: user.credits) == 1
    assert count_statements(lambda: user.spend_credits_on("report")) == sent(8, together=4)
    assert list(verify()) == []


@pytest.mark.parametrize("lots", [2, 500])
def test_debit_that_empties_many_lots(wallet: Wallet, lots: int) -> None:
    add_lots(wallet, lots)
    assert count_statements(lambda: wallet.debit(lots)) == sent(8, together=4)
    assert Allocation.objects.count() == lots
    assert list(verify()) == []


@pytest.mark.parametrize("mode", ["all", "each"])
@pytest.mark.parametrize("items", [1, 500])
def test_batch_of_debits(wallet: Wallet, items: int, mode: Any) -> None:
    add_lots(wallet, 500)
    keyed: list[Any] = [{"amount": 1, "idempotency_key": f"job {number}"} for number in range(items)]
    assert count_statements(lambda: wallet.debit_many([1] * items, mode=mode)) == sent(8, together=4)
    wallet.credit(500)
    assert count_statements(lambda: wallet.debit_many(keyed, mode=mode)) == sent(9, together=4)
    assert count_statements(lambda: wallet.debit_many(keyed, mode=mode)) == 4
    assert wallet.balance == 1_000 - 2 * items
    assert list(verify()) == []


def test_writes_that_find_many_expired_lots(wallet: Wallet) -> None:
    with time_machine.travel("2026-01-01", tick=False) as clock:
        add_lots(wallet, 500, expires_in=days(1))
        wallet.credit(10)
        clock.shift(days(2))
        assert count_statements(lambda: wallet.debit(5)) == sent(8, together=4)
        add_lots(wallet, 500, expires_in=days(1))
        clock.shift(days(2))
        assert count_statements(lambda: wallet.credit(5)) == sent(9, together=5)
        assert wallet.lots.filter(is_open=True).count() == 2
    assert list(verify()) == []


def test_debit_that_takes_from_many_lots_and_leaves_a_debt(wallet: Wallet) -> None:
    add_lots(wallet, 500)
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        assert count_statements(lambda: wallet.debit(510)) == sent(8, together=4)
        assert count_statements(lambda: wallet.debit(10)) == sent(6, together=2)
        assert wallet.balance == -20
    assert list(verify()) == []


def test_credit_that_settles_many_debts(wallet: Wallet) -> None:
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        for _ in range(30):
            wallet.debit(1)
    assert count_statements(lambda: wallet.credit(1)) == sent(9, together=4)
    assert count_statements(lambda: wallet.credit(100)) == sent(9, together=4)
    assert wallet.balance == 71
    assert list(verify()) == []


def test_refusal_writes_no_statement_after_reading(wallet: Wallet) -> None:
    def refused() -> None:
        with pytest.raises(InsufficientCredits):
            wallet.debit(1)

    assert count_statements(refused) == 4


@pytest.mark.parametrize("claims", [1, 30])
def test_credit_that_pays_many_claims(wallet: Wallet, claims: int) -> None:
    for number in range(claims):
        sold = Fulfillment.objects.create(
            wallet=wallet, kind="credit_pack", source="stripe", source_id=f"pi:{number}"
        )
        wallet.credit(10, category="credit_pack_purchase", fulfillment=sold)
    wallet.debit(10 * claims)
    for sold in wallet.fulfillments.all():
        settle_pack(sold, lambda: Returned(amount=10, refunded=10))
    assert count_statements(lambda: wallet.credit(1)) == sent(11, together=5)
    assert count_statements(lambda: wallet.credit(1_000)) == sent(11, together=5)
    assert count_statements(lambda: wallet.credit(100)) == sent(7, together=3)
    assert wallet.balance == 1_101 - 10 * claims
    assert list(verify()) == []


@pytest.mark.parametrize("lots", [2, 500])
def test_transfer_and_reversal_of_many_lots(wallet: Wallet, lots: int) -> None:
    other = make_wallet()
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        for _ in range(3):
            other.debit(1)
    for number in range(lots):
        wallet.credit(2, expires_at=timezone.now() + days(1 + number))
    moved: list[Transfer] = []
    assert count_statements(lambda: moved.append(wallet.transfer_to(other, 2 * lots))) == sent(12, together=5)
    (transfer,) = moved
    assert count_statements(transfer.reverse) == sent(16, together=6)
    assert count_statements(transfer.reverse) == 6
    assert wallet.balance == 2 * lots
    debit = wallet.debit(2 * lots)
    assert count_statements(debit.reverse) == sent(10, together=3)
    assert list(verify()) == []


def costs_of_key(wallet: Wallet, key: str) -> list[int]:
    """Return what a debit, a hold, a debit beside it, its capture and a reversal cost in statements."""
    rows: list[Any] = []
    return [
        count_statements(lambda: rows.append(wallet.debit(5, attributed_to=key))),
        count_statements(lambda: rows.append(wallet.hold(5, attributed_to=key))),
        count_statements(lambda: wallet.debit(5, attributed_to=key)),
        count_statements(lambda: rows[1].capture()),
        count_statements(lambda: rows[0].reverse()),
    ]


@pytest.mark.parametrize("keys", [1, 50])
def test_caps_cost_one_read_and_one_update_more(wallet: Wallet, keys: int) -> None:
    wallet.credit(10_000)
    without = costs_of_key(wallet, "key 0")
    assert without[:3] == [sent(8, together=4), sent(8, together=4), sent(9, together=4)]
    for number in range(keys):
        for every in ("day", "month"):
            wallet.set_cap(f"key {number}", 1_000, every=every)
    more = [now - before for now, before in zip(costs_of_key(wallet, "key 0"), without, strict=True)]
    assert more == [2, 1, 2, 2, 2]
    more = [now - before for now, before in zip(costs_of_key(wallet, "other"), without, strict=True)]
    assert more == [1, 1, 1, 1, 1]
    assert count_statements(lambda: wallet.debit(5)) == sent(8, together=4)
    assert list(verify()) == []


@pytest.mark.parametrize("mode", ["all", "each"])
@pytest.mark.parametrize("items", [1, 500])
def test_batch_of_debits_by_capped_keys(wallet: Wallet, items: int, mode: Any) -> None:
    wallet.credit(10_000)
    for number in range(10):
        wallet.set_cap(f"key {number}", 1_000, every="day")
    batch: list[Any] = [{"amount": 1, "attributed_to": f"key {number % 10}"} for number in range(items)]
    assert count_statements(lambda: wallet.debit_many(batch, mode=mode)) == sent(10, together=4)
    assert sum(cap.spent for cap in wallet.caps()) == items
    assert list(verify()) == []


@pytest.mark.parametrize("rows", [10, 100_000])
def test_setting_and_listing_caps_does_not_depend_on_history(wallet: Wallet, rows: int) -> None:
    add_history(wallet, rows)
    assert count_statements(lambda: wallet.set_cap("key", 100, every="month")) == 8
    assert count_statements(lambda: wallet.set_cap("key", 50, every="month")) == 5
    assert count_statements(lambda: wallet.caps("key")) == 1
    assert count_statements(lambda: wallet.plan_debit(5, attributed_to="key")) == 3
    assert count_statements(lambda: wallet.remove_cap("key")) == 5


@pytest.mark.parametrize("rows", [10, 100_000])
def test_recorded_usage_does_not_depend_on_history(user: User, wallet: Wallet, rows: int) -> None:
    add_history(wallet, rows)
    wallet.credit(1_000)
    chat = Operation("chat", costs=token_rates({"small": (1, 1)}, every=1))

    def record(tokens: int) -> int:
        return count_statements(
            lambda: user.record_usage(
                "chat", message="msg_1", model="small", input_tokens=tokens, output_tokens=0
            )
        )

    with configured(OPERATIONS=[chat]):
        assert record(10) == sent(9, together=4)
        assert record(10) == 4
        for tokens in (20, 30, 40, 50):
            assert record(tokens) == sent(9, together=4)
        assert record(45) == sent(10, together=3)
        assert record(45) == 4
        assert record(5) == sent(10, together=3)
    assert wallet.balance == 995
    assert list(verify()) == []

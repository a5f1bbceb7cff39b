from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import add_lots, days, make_wallet
from usage_credits.ledger.verification import verify
from usage_credits.models import Hold, Wallet

pytestmark = pytest.mark.django_db(transaction=True)


def count_statements(action: Callable[[], Any]) -> int:
    with CaptureQueriesContext(connection) as captured:
        action()
    return len(captured)


@pytest.fixture
def wallet() -> Wallet:
    return make_wallet()


@pytest.mark.parametrize("lots", [2, 500])
def test_hold_capture_and_release_of_many_lots(wallet: Wallet, lots: int) -> None:
    add_lots(wallet, 3 * lots)
    assert count_statements(lambda: wallet.hold(lots)) == 8
    held = Hold.objects.get()
    assert held.wallet == wallet
    assert count_statements(lambda: held.capture(lots // 2)) == 11
    assert count_statements(lambda: wallet.debit(1)) == 9
    assert count_statements(lambda: held.capture()) == 11
    held = wallet.hold(lots, idempotency_key="job")
    assert count_statements(held.extend) == 6
    assert count_statements(held.release) == 10
    assert count_statements(lambda: wallet.debit(1)) == 8
    assert list(verify()) == []


def test_hundred_rounds_cost_what_the_first_one_does(wallet: Wallet) -> None:
    add_lots(wallet, 10)
    rounds = {count_statements(lambda: wallet.hold(5).release()) for _ in range(100)}
    assert len(rounds) == 1


@pytest.mark.parametrize("holds", [1, 50])
def test_write_that_finds_many_overdue_holds(wallet: Wallet, holds: int) -> None:
    with time_machine.travel("2026-01-01", tick=False) as clock:
        add_lots(wallet, 3 * holds, expires_in=days(1))
        wallet.credit(10)
        for _ in range(holds):
            wallet.hold(2)
        clock.shift(days(0.5))
        assert count_statements(lambda: wallet.debit(5)) == 11
        assert wallet.held == 0
    assert list(verify()) == []

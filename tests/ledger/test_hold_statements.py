from __future__ import annotations

import pytest
import time_machine

from tests.factories import add_lots, days, make_wallet
from tests.ledger.statements import count_statements, sent
from usage_credits.ledger.verification import verify
from usage_credits.models import Hold, Wallet

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def wallet() -> Wallet:
    return make_wallet()


@pytest.mark.parametrize("lots", [2, 500])
def test_hold_capture_and_release_of_many_lots(wallet: Wallet, lots: int) -> None:
    add_lots(wallet, 3 * lots)
    assert count_statements(lambda: wallet.hold(lots)) == sent(8, together=4, rows=lots)
    held = Hold.objects.get()
    assert held.wallet == wallet
    assert count_statements(lambda: held.capture(lots // 2)) == sent(11, together=4, rows=lots)
    assert count_statements(lambda: wallet.debit(1)) == sent(9, together=4)
    assert count_statements(lambda: held.capture()) == sent(11, together=4, rows=lots)
    held = wallet.hold(lots, idempotency_key="job")
    assert count_statements(held.extend) == 5
    assert count_statements(held.release) == sent(10, together=3, rows=lots)
    assert count_statements(lambda: wallet.debit(1)) == sent(8, together=4)
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
        assert count_statements(lambda: wallet.debit(5)) == sent(11, together=5, rows=holds)
        assert wallet.held == 0
    assert list(verify()) == []

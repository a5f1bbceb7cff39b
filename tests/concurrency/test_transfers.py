from __future__ import annotations

import datetime
from collections import Counter
from itertools import chain

import pytest
from django.utils import timezone

from tests.concurrency.processes import run_together
from tests.factories import make_wallet
from usage_credits.ledger.verification import verify
from usage_credits.models import Transaction, Transfer, Wallet

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

WORK = "tests.concurrency.work"


@pytest.mark.behaviour("TRF-15")
def test_opposite_transfers_from_eight_processes_neither_deadlock_nor_lose_credits() -> None:
    first, second = make_wallet(100), make_wallet(100)
    ways = [(first.pk, second.pk, 20, 7), (second.pk, first.pk, 20, 9)]

    outcomes = Counter(chain.from_iterable(run_together(f"{WORK}:transfer_repeatedly", ways * 4)))

    assert set(outcomes) <= {"moved", "refused"}, outcomes
    # At least as many as when those of one way all come before those of the other.
    assert outcomes["moved"] == Transfer.objects.count() >= 36
    assert first.balance + second.balance == 200
    assert min(first.balance, second.balance) >= 0
    assert list(verify()) == []


def test_transfers_around_a_ring_conserve_what_there_is() -> None:
    wallets = [make_wallet(50) for _ in range(4)]
    ring = [
        (wallet.pk, wallets[number - step].pk, 15, 11)
        for number, wallet in enumerate(wallets)
        for step in (1, 2)
    ]

    outcomes = Counter(chain.from_iterable(run_together(f"{WORK}:transfer_repeatedly", ring)))

    assert set(outcomes) <= {"moved", "refused"}, outcomes
    assert sum(wallet.balance for wallet in wallets) == 200
    assert list(verify()) == []


def test_one_key_moves_credits_once() -> None:
    sender, receiver = make_wallet(100), make_wallet()

    outcomes = run_together(f"{WORK}:transfer_under_one_key", [(sender.pk, receiver.pk, "once")] * 8)

    assert len({pk for pk, _ in outcomes}) == 1, outcomes
    assert Counter(replayed for _, replayed in outcomes) == {False: 1, True: 7}
    assert (sender.balance, receiver.balance) == (90, 10)


@pytest.mark.behaviour("DEC-21")
@pytest.mark.parametrize("kind", ["debit", "transfer"])
def test_reversals_from_eight_processes_have_one_effect(kind: str) -> None:
    wallet, other = make_wallet(100), make_wallet(100)
    if kind == "debit":
        pk, target = wallet.debit(60).pk, "reverse_row"
    else:
        pk, target = wallet.transfer_to(other, 60).pk, "reverse_transfer"

    outcomes = run_together(f"{WORK}:{target}", [(pk,)] * 8)

    assert len({tuple(pk for pk, _ in rows) for rows in outcomes}) == 1, outcomes
    assert Counter(rows[0][1] for rows in outcomes) == {False: 1, True: 7}
    assert (wallet.balance, other.balance) == (100, 100)
    assert Transaction.objects.filter(category="reversal").count() == (1 if kind == "debit" else 2)
    assert list(verify()) == []


def test_holds_transfers_and_reversals_from_eight_processes_neither_deadlock_nor_lose_credits() -> None:
    pair = [make_wallet(100), make_wallet(100)]
    soon = timezone.now() + datetime.timedelta(days=1)
    for wallet in pair:
        for lot in range(10):
            wallet.credit(10, expires_at=soon if lot % 2 else None)
    there, back = [wallet.pk for wallet in pair], [wallet.pk for wallet in reversed(pair)]

    errors = run_together(
        f"{WORK}:move_about", [(*way, 20, seed) for seed, way in enumerate([there, back] * 4)]
    )

    assert errors == [[]] * 8
    claimed = sum(wallet.claims for wallet in Wallet.objects.all())
    assert sum(wallet.balance for wallet in pair) - claimed == 400
    assert {"transfer_out", "operation_charge", "reversal"} <= set(
        Transaction.objects.values_list("category", flat=True)
    )
    assert list(verify()) == []

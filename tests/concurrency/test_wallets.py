from __future__ import annotations

import datetime
import threading
import time
from collections import Counter, defaultdict
from itertools import chain

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from tests.app.models import Newcomer
from tests.concurrency.processes import run_in_threads, run_together
from usage_credits import InsufficientCredits
from usage_credits.ledger.verification import verify
from usage_credits.models import Transaction, Wallet

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

WORK = "tests.concurrency.work"


def make_wallet(credits: int) -> Wallet:
    wallet = get_user_model().objects.create(username="ada").wallet()
    if credits:
        wallet.credit(credits)
    return wallet


def make_newcomer_without_wallet() -> Newcomer:
    newcomer = Newcomer.objects.bulk_create([Newcomer(name="Ada")])[0]
    assert not newcomer.has_wallet()
    return newcomer


@pytest.mark.behaviour("DEB-08")
def test_ten_processes_debit_one_wallet_without_overdrawing_it() -> None:
    wallet = make_wallet(0)
    soon = timezone.now() + datetime.timedelta(days=1)
    for lot in range(50):
        wallet.credit(20, expires_at=soon + datetime.timedelta(hours=lot) if lot % 2 else None)

    outcomes = run_together(f"{WORK}:debit_repeatedly", [(wallet.pk, 20, 7)] * 10)

    assert Counter(chain.from_iterable(outcomes)) == {"paid": 1_000 // 7, "refused": 200 - 1_000 // 7}
    assert wallet.balance == 1_000 % 7
    assert list(verify()) == []


def test_ten_concurrent_debits_of_thirty_on_a_hundred_pay_three_times() -> None:
    wallet = make_wallet(100)

    outcomes = run_together(f"{WORK}:debit_repeatedly", [(wallet.pk, 1, 30)] * 10)

    assert Counter(chain.from_iterable(outcomes)) == {"paid": 3, "refused": 7}
    assert wallet.balance == 10
    assert list(verify()) == []


@pytest.mark.behaviour("CRE-16")
def test_ten_processes_credit_one_wallet_in_one_chain() -> None:
    wallet = make_wallet(0)

    run_together(f"{WORK}:credit_repeatedly", [(wallet.pk, 5, 10)] * 10)

    rows = list(wallet.history())
    assert [row.balance_after for row in rows] == [10 * number for number in range(1, 51)]
    assert [row.balance_before for row in rows] == [10 * number for number in range(50)]
    assert list(verify()) == []


@pytest.mark.behaviour("DEC-17")
@pytest.mark.parametrize("mode", ["all", "each"])
def test_batches_with_overlapping_keys_from_six_processes_debit_each_key_once(mode: str) -> None:
    wallet = make_wallet(300)
    batches = [[f"job {number % 60}" for number in range(start, start + 30)] for start in range(0, 60, 10)]

    outcomes = run_together(f"{WORK}:debit_many_under_keys", [(wallet.pk, keys, mode) for keys in batches])

    row_of: dict[str, set[int]] = defaultdict(set)
    for keys, rows in zip(batches, outcomes, strict=True):
        for key, (pk, _replayed) in zip(keys, rows, strict=True):
            row_of[key].add(pk)
    assert [len(pks) for pks in row_of.values()] == [1] * 60
    assert Counter(replayed for rows in outcomes for _pk, replayed in rows) == {False: 60, True: 120}
    assert (wallet.balance, wallet.history().debits().count()) == (120, 60)
    assert list(verify()) == []


@pytest.mark.behaviour("SUL-12", "DEC-17")
def test_one_key_in_eight_processes_has_one_effect() -> None:
    wallet = make_wallet(100)

    outcomes = run_together(f"{WORK}:debit_under_one_key", [(wallet.pk, "once")] * 8)

    assert len({pk for pk, _ in outcomes}) == 1
    assert Counter(replayed for _, replayed in outcomes) == {False: 1, True: 7}
    assert wallet.balance == 90


def test_processes_spend_on_an_operation_until_the_wallet_is_empty() -> None:
    wallet = make_wallet(500)

    user = get_user_model().objects.get()

    outcomes = run_together(f"{WORK}:spend_repeatedly", [(user.pk, 10)] * 4)

    assert Counter(chain.from_iterable(outcomes)) == {"paid": 20, "refused": 20}
    assert wallet.balance == 0
    assert list(verify()) == []


@pytest.mark.behaviour("WAL-15")
def test_forty_connections_open_one_wallet_at_once() -> None:
    newcomer = make_newcomer_without_wallet()

    outcomes = run_in_threads(40, lambda number: Newcomer.objects.get(pk=newcomer.pk).wallet().pk)

    assert set(outcomes) == {Wallet.objects.get(owner_id=str(newcomer.pk), asset="credits").pk}
    assert newcomer.credits == 100
    assert Transaction.objects.count() == 1
    assert list(verify()) == []


@pytest.mark.behaviour("WAL-15")
def test_160_first_accesses_through_40_connections_open_one_wallet() -> None:
    newcomer = make_newcomer_without_wallet()

    def access(number: int) -> set[int]:
        return {Newcomer.objects.get(pk=newcomer.pk).wallet().pk for _ in range(4)}

    outcomes = run_in_threads(40, access)

    wallet = newcomer.find_wallet()
    assert wallet is not None
    assert [outcome for outcome in outcomes if outcome != {wallet.pk}] == []
    assert newcomer.credits == 100
    assert Wallet.objects.count() == 1


@pytest.mark.behaviour("WAL-15")
def test_processes_open_one_wallet_at_once() -> None:
    newcomer = make_newcomer_without_wallet()

    outcomes = run_together(f"{WORK}:open_wallets", [(newcomer.pk, 4)] * 8)

    assert len(set(chain.from_iterable(outcomes))) == 1
    assert newcomer.credits == 100


@pytest.mark.behaviour("WAL-16")
def test_the_loser_of_the_race_keeps_its_transaction() -> None:
    newcomer = make_newcomer_without_wallet()

    outcomes = run_together(f"{WORK}:open_wallet_inside_a_transaction", [(newcomer.pk,)] * 8)

    assert len(set(outcomes)) == 1, outcomes
    assert newcomer.credits == 92
    assert list(verify()) == []


@pytest.mark.behaviour("DEB-11")
def test_a_debit_looks_at_the_balance_under_the_lock_and_not_at_a_stale_wallet() -> None:
    wallet = make_wallet(100)
    stale = Wallet.objects.get(pk=wallet.pk)
    run_together(f"{WORK}:debit_repeatedly", [(wallet.pk, 1, 90)])

    with pytest.raises(InsufficientCredits) as refusal:
        stale.debit(50)

    assert (refusal.value.available, refusal.value.required) == (10, 50)
    assert stale.balance == 10


def test_a_debit_waits_for_the_lock_and_then_sees_what_was_credited() -> None:
    wallet = make_wallet(10)
    credited = threading.Event()

    def act(number: int) -> int:
        mine = Wallet.objects.get(pk=wallet.pk)
        if number == 0:
            with transaction.atomic():
                row = mine.credit(100)
                credited.set()
                time.sleep(0.5)
            return row.balance_after
        credited.wait(timeout=30)
        return mine.debit(105).balance_after

    assert run_in_threads(2, act) == [110, 5]
    assert wallet.balance == 5

from __future__ import annotations

import datetime
from collections import Counter
from itertools import chain

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.db import connections, transaction

from tests.app.models import User
from tests.concurrency.processes import run_in_threads
from tests.concurrency.work import debit_repeatedly, debit_under_one_key, move_about
from tests.factories import configured, days, make_user, make_wallet
from usage_credits import ledger_stats, start_plan, usage_summary
from usage_credits.billing.fulfillment import fulfill_due
from usage_credits.ledger.expiry import book_expired
from usage_credits.models import Wallet
from usage_credits.testing import assert_ledger_sound

ALL = [alias for alias in connections if alias != "default"]
pytestmark = [
    pytest.mark.concurrency,
    pytest.mark.django_db(transaction=True, databases=["default", *ALL]),
]
THREADS = 8
START = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


def test_debits_at_once_are_paid_as_far_as_credits_go(pool: str) -> None:
    wallet = make_wallet(300)
    outcomes = run_in_threads(THREADS, lambda _number: debit_repeatedly(wallet.pk, 10, 7))
    assert Counter(chain.from_iterable(outcomes)) == {"paid": 42, "refused": 38}
    assert (wallet._state.db, wallet.balance) == (pool, 6)
    assert_ledger_sound()


def test_one_key_has_one_effect(pool: str) -> None:
    wallet = make_wallet(100)
    outcomes = run_in_threads(THREADS, lambda _number: debit_under_one_key(wallet.pk, "upload-17"))
    assert len({row for row, _replayed in outcomes}) == 1
    assert sorted(replayed for _row, replayed in outcomes) == [False] + [True] * (THREADS - 1)
    assert wallet.balance == 90


def test_everything_at_once(pool: str) -> None:
    wallet, other = make_wallet(500), make_wallet(500)
    outcomes = run_in_threads(THREADS, lambda number: move_about(wallet.pk, other.pk, 4, number))
    assert outcomes == [[]] * THREADS
    assert_ledger_sound()


def test_jobs_and_reports(pool: str) -> None:
    with time_machine.travel(START, tick=False):
        user = make_user()
        start_plan(user, "pro")
        user.give_credits(5, expires_at=START + days(1))
        user.wallet().set_cap("key", 50, every="day")
        user.spend_credits_on("report", attributed_to="key")
    with time_machine.travel(START + days(32), tick=False):
        sum(batch.lots for batch in book_expired())
        assert sum(batch.awarded for batch in fulfill_due()) == 1
        assert usage_summary(user).spent == 25
        assert ledger_stats().outstanding == user.credits
    assert_ledger_sound()


def test_dry_runs_and_credits_of_a_wallet_that_owes(pool: str) -> None:
    wallet = make_wallet(10)
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        for _ in range(5):
            wallet.debit(15)
        user = get_user_model().objects.get()
        plans = run_in_threads(THREADS, lambda _number: [plan_again(user.pk) for _ in range(5)])
        assert plans == [[-90] * 5] * THREADS
        wallet.credit(100)
    assert wallet.balance == 35
    assert_ledger_sound()


def plan_again(user_id: int) -> int:
    return User.objects.get(pk=user_id).plan_spend_on("report").left


def test_rolled_back_debit_leaves_the_connection_usable(pool: str) -> None:
    wallet = make_wallet(10)
    with transaction.atomic(using=pool):
        wallet.debit(4)
        transaction.set_rollback(True, using=pool)
    assert Wallet.objects.get(pk=wallet.pk).debit(10).balance_after == 0

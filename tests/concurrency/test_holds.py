from __future__ import annotations

import datetime
import threading

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from tests.app.models import User
from tests.concurrency.processes import run_in_threads, run_together
from tests.factories import amounts_of, make_user, make_wallet
from usage_credits.ledger.expiry import book_expired
from usage_credits.ledger.verification import verify
from usage_credits.models import HeldLot

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

WORK = "tests.concurrency.work"


@pytest.mark.behaviour("SPD-11")
def test_second_of_two_block_spends_is_refused_before_its_work() -> None:
    user = make_user(100)

    outcomes = run_together(f"{WORK}:spend_in_a_block", [(user.pk, 60)] * 2)

    assert sorted(outcomes) == ["paid", "refused before the work"]
    assert amounts_of(user.wallet()) == [100, -60]
    assert list(verify()) == []


@pytest.mark.behaviour("SPD-14", "DEC-14")
def test_nobody_waits_while_the_work_runs() -> None:
    user, other = make_user(100), make_user(100)
    working, done = threading.Event(), threading.Event()
    # SQLite has no rows to lock: there others wait for the transaction in which the work runs.
    locks_rows = connection.features.has_select_for_update

    def act(number: int) -> bool:
        if number == 0:
            with User.objects.get(pk=user.pk).spending_credits_on("report"):
                working.set()
                return done.wait(timeout=30 if locks_rows else 1)
        assert working.wait(timeout=30)
        for spender in (other, user):
            User.objects.get(pk=spender.pk).wallet().debit(10)
        done.set()
        return True

    assert run_in_threads(2, act) == [locks_rows, True]
    assert sorted(amounts_of(user.wallet())) == [-25, -10, 100]
    assert amounts_of(other.wallet()) == [100, -10]
    assert list(verify()) == []


@pytest.mark.behaviour("DEC-14")
def test_killed_process_charges_nothing_and_its_hold_ends_by_itself() -> None:
    user = make_user(100)

    (outcome,) = run_together(f"{WORK}:die_in_a_block", [(user.pk,)])

    assert isinstance(outcome, ChildProcessError)
    assert User.objects.get(pk=user.pk).first_name == ""
    assert (amounts_of(user.wallet()), user.wallet().held, user.credits) == ([100], 25, 75)
    with time_machine.travel(timezone.now() + datetime.timedelta(hours=1), tick=False):
        assert sum(batch.holds for batch in book_expired()) == 1
    assert (amounts_of(user.wallet()), user.wallet().held, user.credits) == ([100], 0, 100)
    assert list(verify()) == []


def test_processes_hold_capture_and_release_in_one_wallet() -> None:
    wallet = make_wallet(0)
    soon = timezone.now() + datetime.timedelta(days=1)
    for lot in range(20):
        wallet.credit(20, expires_at=soon if lot % 2 else None)

    charged = run_together(f"{WORK}:hold_repeatedly", [(wallet.pk, 15, 17)] * 6)

    assert wallet.balance == 400 - sum(charged)
    assert wallet.held == 0
    assert not HeldLot.objects.exists()
    assert list(verify()) == []

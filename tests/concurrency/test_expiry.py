from __future__ import annotations

import datetime
import threading

import pytest
import time_machine
from django.db import connection, transaction
from django.utils import timezone

from tests.concurrency.processes import run_in_threads, run_together
from tests.factories import make_wallet
from usage_credits.ledger.expiry import Expired, book_expired, count_expired
from usage_credits.ledger.verification import verify
from usage_credits.models import Transaction, Wallet

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

EXPIRE = "tests.concurrency.work:expire"


def make_expired(wallets: int, lots: int) -> list[Wallet]:
    """Return as many wallets, each with lots of 10 that have expired."""
    before = timezone.now() - datetime.timedelta(days=2)
    with time_machine.travel(before, tick=False):
        made = [make_wallet() for _ in range(wallets)]
        for wallet in made:
            for _ in range(lots):
                wallet.credit(10, expires_at=before + datetime.timedelta(days=1))
    return made


@pytest.mark.behaviour("DEC-13", "ADM-05")
def test_runs_at_once_book_each_lot_once() -> None:
    make_expired(40, 3)

    answers = run_together(EXPIRE, [(3,)] * 4)

    assert [sum(figures) for figures in zip(*answers, strict=True)] == [120, 1_200]
    assert Transaction.objects.filter(category="expiration").count() == 120
    assert count_expired() == Expired()
    assert list(verify()) == []


@pytest.mark.behaviour("DEC-13", "ADM-05")
def test_run_books_last_what_others_hold() -> None:
    wallets = make_expired(3, 1)
    held, others = threading.Event(), threading.Event()

    def act(number: int) -> list[int]:
        if number == 0:
            with transaction.atomic():
                Wallet.objects.select_for_update().get(pk=wallets[0].pk)
                held.set()
                others.wait(timeout=5)
            return []
        held.wait(timeout=30)
        booked = []
        for batch in book_expired(batch_size=1):
            booked.append(batch.wallets)
            if len(booked) == 3:
                others.set()
        return booked

    _none, booked = run_in_threads(2, act)

    # SQLite has no rows to lock: nobody holds the first wallet there.
    can_skip = connection.features.has_select_for_update_skip_locked
    assert booked == ([0, 1, 1, 1] if can_skip else [1, 1, 1])
    assert count_expired() == Expired()
    assert list(verify()) == []

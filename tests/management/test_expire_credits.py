from __future__ import annotations

import datetime
import gc
from contextlib import nullcontext
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import amounts_of, make_wallet, remaining_of, stored
from tests.management.running import run
from usage_credits.models import Wallet
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db

START = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)
LATER = START + datetime.timedelta(days=2)


def with_expiring_lots() -> tuple[Wallet, Wallet]:
    """Return two wallets with three lots that are expired at LATER (150 credits left) and one that is not."""
    with time_machine.travel(START, tick=False):
        one, other = make_wallet(credits=10), make_wallet()
        one.credit(100, expires_at=START + datetime.timedelta(days=1))
        one.credit(20, expires_at=START + datetime.timedelta(days=1))
        other.credit(40, expires_at=START + datetime.timedelta(days=1))
        other.debit(10)
    return one, other


@pytest.mark.behaviour("ADM-05")
def test_expire_credits_books_every_expired_lot_and_says_so() -> None:
    one, other = with_expiring_lots()
    with time_machine.travel(LATER, tick=False):
        outcome = run("expire_credits")
    assert outcome.stdout == "Expired 3 lots of 2 wallets: 150 credits.\n"
    assert (outcome.code, outcome.stderr) == (0, "")
    assert amounts_of(one) == [10, 100, 20, -100, -20]
    assert amounts_of(other) == [40, -10, -30]
    assert remaining_of(one) == [10, 0, 0]


@pytest.mark.behaviour("ADM-05")
def test_expire_credits_again_books_nothing_more() -> None:
    with_expiring_lots()
    with time_machine.travel(LATER, tick=False):
        run("expire_credits")
        before = stored()
        outcome = run("expire_credits")
    assert outcome.stdout == "Expired 0 lots of 0 wallets: 0 credits.\n"
    assert stored() == before


@pytest.mark.behaviour("ADM-05")
def test_expire_credits_announces_each_lot_once() -> None:
    with_expiring_lots()
    with time_machine.travel(LATER, tick=False), capture_events() as heard:
        run("expire_credits")
        run("expire_credits")
    assert sorted(context.amount or 0 for context in heard if context.event == "credits_expired") == [
        20,
        30,
        100,
    ]


@pytest.mark.behaviour("ADM-05")
def test_expire_credits_refreshes_the_booked_balance_and_leaves_the_one_that_is_read() -> None:
    one, other = with_expiring_lots()
    with time_machine.travel(LATER, tick=False):
        read_before = [one.balance, other.balance]
        run("expire_credits")
        assert [one.balance, other.balance] == read_before == [10, 0]
    booked = Wallet.objects.filter(pk__in=[one.pk, other.pk]).order_by("pk")
    assert list(booked.values_list("booked_balance", flat=True)) == [10, 0]


@pytest.mark.behaviour("ADM-05")
def test_expire_credits_on_a_dry_run_writes_nothing() -> None:
    with_expiring_lots()
    before = stored()
    with time_machine.travel(LATER, tick=False):
        outcome = run("expire_credits", "--dry-run")
    assert outcome.stdout == "Would expire 3 lots of 2 wallets: 150 credits.\n"
    assert stored() == before


def test_expire_credits_works_through_batches_of_one_wallet() -> None:
    with_expiring_lots()
    with time_machine.travel(LATER, tick=False):
        outcome = run("expire_credits", "--batch-size", "1")
    assert outcome.stdout == "Expired 3 lots of 2 wallets: 150 credits.\n"


def test_expire_credits_takes_as_many_statements_for_sixty_wallets_as_for_thirty() -> None:
    def expire(wallets: int) -> int:
        with time_machine.travel(START, tick=False):
            for _ in range(wallets):
                make_wallet().credit(5, expires_at=START + datetime.timedelta(days=1))
        with time_machine.travel(LATER, tick=False), CaptureQueriesContext(connection) as statements:
            run("expire_credits")
        return len(statements)

    # Few rows go in fewer statements: both are many.
    assert expire(60) == expire(30)


@pytest.mark.parametrize("size", ["0", "-1", "10001"])
def test_expire_credits_refuses_a_batch_size_out_of_range(size: str) -> None:
    outcome = run("expire_credits", "--batch-size", size)
    assert outcome.code == 1
    assert outcome.stderr.startswith(f"--batch-size: got {size}")


def test_expire_credits_refuses_an_unknown_database() -> None:
    outcome = run("expire_credits", "--database", "nowhere")
    assert outcome.code == 1
    assert outcome.stderr.startswith("--database: got 'nowhere', allowed is one of default")


def test_expire_credits_of_some_wallets_books_for_no_other() -> None:
    one, other = with_expiring_lots()
    with time_machine.travel(LATER, tick=False):
        assert run("expire_credits", "--wallets", f"{other.pk}-").stdout.startswith(
            "Expired 1 lot of 1 wallet"
        )
        only = f"{one.pk}-{one.pk}"
        assert run("expire_credits", "--dry-run", "--wallets", only).stdout.startswith("Would expire 2 lots ")
    assert amounts_of(one) == [10, 100, 20]
    assert amounts_of(other) == [40, -10, -30]


def test_expire_credits_of_some_wallets_releases_no_hold_of_another() -> None:
    one, other = make_wallet(credits=10), make_wallet(credits=10)
    with time_machine.travel(START, tick=False):
        for wallet in (one, other):
            wallet.hold(5, ttl=datetime.timedelta(hours=1))
    with time_machine.travel(LATER, tick=False):
        only = str(one.pk)
        assert run("expire_credits", "--dry-run", "--wallets", only).stdout.endswith("was over: 1.\n")
        assert run("expire_credits", "--wallets", only).stdout.endswith("was over: 1.\n")
        assert [Wallet.objects.get(pk=wallet.pk).booked_held for wallet in (one, other)] == [0, 5]


@pytest.mark.parametrize("text", ["", "-5", "5-1", "0-5", "a-b", "1-5-9", f"1-{2**63}"])
def test_expire_credits_refuses_what_names_no_wallets(text: str) -> None:
    outcome = run("expire_credits", f"--wallets={text}")
    assert outcome.code == 1
    assert outcome.stderr.startswith(f"--wallets: got {text!r}, allowed is an id, FIRST-LAST or FIRST-")


@pytest.mark.parametrize("table", ["usage_credits_allocation", "no_table"])
def test_expire_credits_leaves_the_garbage_collector_as_it_was(table: str) -> None:
    """Whether it ends well or a statement on `table` fails in its midst."""
    with_expiring_lots()

    def fail(call: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if table in sql and "INSERT INTO" in sql:
            raise ArithmeticError
        assert "INSERT INTO" not in sql or not gc.isenabled()
        return call(sql, params, many, context)

    expected = pytest.raises(ArithmeticError) if table == "usage_credits_allocation" else nullcontext()
    with time_machine.travel(LATER, tick=False), connection.execute_wrapper(fail), expected:
        run("expire_credits")
    assert gc.isenabled()
    assert not gc.get_freeze_count()

"""Writes while the routers read from a replica: what a write depends on is read where it is locked."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import time_machine
from django.db import connections
from django.test import override_settings

from tests.app.models import User
from tests.factories import configured, days
from usage_credits import InsufficientCredits, start_plan
from usage_credits.billing.fulfillment import fulfill_due
from usage_credits.ledger.expiry import book_expired
from usage_credits.models import Hold, Transaction, Transfer, Wallet
from usage_credits.testing import assert_ledger_sound

pytestmark = pytest.mark.django_db(databases=["ledger", "replica"], transaction=True)
START = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


@pytest.fixture(autouse=True)
def replicated() -> Iterator[None]:
    read_in_transactions = []

    def note(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if connections["ledger"].in_atomic_block:
            read_in_transactions.append(sql)
        return execute(sql, params, many, context)

    with (
        override_settings(DATABASE_ROUTERS=["tests.routers.Replicated"]),
        connections["replica"].execute_wrapper(note),
    ):
        yield
    assert read_in_transactions == []


def make_wallet(username: str, credits: int = 0) -> Wallet:
    """Return a wallet as it is read from the replica."""
    user = User.objects.create(username=username)
    if credits:
        user.give_credits(credits)
    wallet = Wallet.objects.get(owner_id=str(user.pk))
    assert wallet._state.db == "replica"
    return wallet


def test_owner_read_from_the_replica_spends() -> None:
    make_wallet("ada", 100)
    user = User.objects.get()
    assert user._state.db == "replica"
    user.spend_credits_on("report", idempotency_key="once")
    user.spend_credits_on("report", idempotency_key="once")
    with user.spending_credits_on("report", idempotency_key="twice"):
        pass
    with pytest.raises(InsufficientCredits):
        user.wallet().debit(51)
    assert user.credits == 50


def test_rows_read_from_the_replica_are_reversed_once() -> None:
    wallet, other = make_wallet("ada", 100), make_wallet("bob")
    debit = wallet.debit(30)
    moved = wallet.transfer_to(other, 20)
    Transaction.objects.get(pk=debit.pk).reverse()
    Transfer.objects.get(pk=moved.pk).reverse()
    assert [row.replayed for row in Transaction.objects.get(pk=debit.pk).reverse()] == [True]
    assert (wallet.available, other.available) == (100, 0)
    award = Transaction.objects.filter(wallet=wallet).earliest("pk")
    award.reverse()
    assert wallet.available == 50


def test_hold_read_from_the_replica_is_captured() -> None:
    wallet = make_wallet("ada", 100)
    placed = wallet.hold(40)
    Hold.objects.get(pk=placed.pk).capture(10)
    Hold.objects.get(pk=placed.pk).extend()
    Hold.objects.get(pk=placed.pk).release()
    wallet.set_cap("key", 10, every="day")
    wallet.debit(10, attributed_to="key")
    assert wallet.available == 80


def test_debt_is_settled_by_what_it_is_in_the_ledger() -> None:
    wallet = make_wallet("ada", 10)
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        wallet.debit(15)
        wallet.credit(20)
        wallet.debit_many([{"amount": 16}, {"amount": 1}])
        Transaction.objects.filter(wallet=wallet).latest("pk").reverse()
    assert wallet.balance == -1


def test_jobs_book_by_the_ledger() -> None:
    with time_machine.travel(START, tick=False):
        wallet = make_wallet("ada")
        wallet.credit(5, expires_at=START + days(1))
        start_plan(User.objects.get(), "roll")
    with time_machine.travel(START + days(32), tick=False):
        assert sum(batch.lots for batch in book_expired()) == 1
        assert sum(batch.awarded for batch in fulfill_due()) == 1
        assert wallet.available == 2_000
    assert_ledger_sound()

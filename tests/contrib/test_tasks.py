from __future__ import annotations

from typing import Any

import pytest
from django.tasks import TaskResultStatus

from tests.billing.fulfilling import make_subscription
from tests.billing.recharging import charges
from tests.contrib.waiting import make_due, make_expired, make_rechargeable
from tests.factories import amounts_of, configured, make_user, make_wallet, stored
from usage_credits import InvalidValue
from usage_credits.contrib.tasks import (
    expire_credits,
    fulfill_credits,
    recharge_credits,
    recharge_when_due,
    verify_credits,
)
from usage_credits.models import Recharge, Wallet
from usage_credits.testing import FakeStripe, capture_events

pytestmark = pytest.mark.django_db


def test_expire_credits_books_what_the_command_would_book() -> None:
    wallets = make_expired(3)
    done = expire_credits.enqueue(batch_size=2)
    assert done.return_value == {"wallets": 3, "lots": 3, "credits": 30, "holds": 0}
    assert [amounts_of(wallet) for wallet in wallets] == [[5, 10, -10]] * 3


def test_fulfill_credits_awards_what_the_command_would_award() -> None:
    wallets = make_due(3)
    done = fulfill_credits.enqueue(batch_size=2)
    assert done.return_value == {"awarded": 3, "credits": 210, "failed": 0, "tried": 3}
    assert [amounts_of(wallet) for wallet in wallets] == [[70]] * 3


def test_recharge_credits_charges_what_the_command_would_charge(fake: FakeStripe) -> None:
    wallets = [make_rechargeable(fake).wallet() for _ in range(3)]
    one = recharge_credits.enqueue(wallets=[wallets[0].pk, wallets[0].pk])
    assert one.return_value == {"paid": 1, "failed": 0, "processing": 0, "unanswered": 0}
    assert recharge_credits.enqueue(batch_size=1).return_value["paid"] == 2
    assert recharge_credits.enqueue().return_value["paid"] == 0
    assert len(charges(fake)) == 3


def test_recharge_credits_fails_where_stripe_does_not_answer(fake: FakeStripe) -> None:
    make_rechargeable(fake)
    with fake.outage():
        done = recharge_credits.enqueue()
    assert done.status == TaskResultStatus.FAILED
    assert done.errors[0].exception_class_path == "usage_credits.contrib.jobs.JobFailed"


def test_wallet_that_runs_low_is_recharged_at_once_by_a_callback(fake: FakeStripe) -> None:
    owner, other = make_rechargeable(fake, 60), make_user(60)
    fake.requests.clear()
    with configured(CALLBACKS={"credits_deducted": recharge_when_due}):
        for debit in (10, 1, 1):
            with capture_events():
                owner.wallet().debit(debit)
                other.wallet().debit(20)
    assert Recharge.objects.get().wallet == owner.wallet()
    assert len(charges(fake)) == 1


def test_verify_credits_finds_a_used_ledger_sound() -> None:
    make_wallet(credits=100).debit(30)
    assert verify_credits.enqueue().return_value == {"findings": 0}


def test_tasks_enqueued_again_change_nothing_more() -> None:
    make_expired(4)
    make_due(4)
    expire_credits.enqueue()
    fulfill_credits.enqueue()
    before = stored()
    expire_credits.enqueue()
    fulfill_credits.enqueue()
    assert stored() == before


def test_shards_together_do_what_one_does(fake: FakeStripe) -> None:
    expired, due = make_expired(7), make_due(7)
    for _ in range(4):
        make_rechargeable(fake)
    for task in (expire_credits, fulfill_credits, recharge_credits, verify_credits):
        assert task.enqueue(shards=3).return_value == {"ranges": 3}
    assert {tuple(amounts_of(wallet)) for wallet in expired} == {(5, 10, -10)}
    assert {tuple(amounts_of(wallet)) for wallet in due} == {(70,)}
    assert len(charges(fake)) == 4


def test_shards_are_enqueued_for_a_range_each(settings: Any) -> None:
    settings.TASKS = {"default": {"BACKEND": "django.tasks.backends.dummy.DummyBackend"}}
    wallets = [make_wallet() for _ in range(4)]

    assert expire_credits.func(shards=2, batch_size=7) == {"ranges": 2}

    backend: Any = expire_credits.get_backend()
    assert [result.kwargs for result in backend.results] == [
        {"wallets": [wallets[0].pk, wallets[1].pk], "batch_size": 7, "database": None},
        {"wallets": [wallets[2].pk, wallets[3].pk], "batch_size": 7, "database": None},
    ]


@pytest.mark.parametrize("task", [fulfill_credits, verify_credits], ids=lambda task: task.name)
def test_tasks_fail_where_somebody_must_look(task: Any) -> None:
    make_subscription(make_wallet(), "gone")
    Wallet.objects.update(booked_balance=99)
    done = task.enqueue()
    assert done.status == TaskResultStatus.FAILED
    assert done.errors[0].exception_class_path == "usage_credits.contrib.jobs.JobFailed"


def test_tasks_refuse_arguments_before_they_do_anything() -> None:
    with pytest.raises(InvalidValue, match="shards: got 0"):
        expire_credits.call(shards=0)

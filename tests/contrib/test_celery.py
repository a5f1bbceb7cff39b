from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from celery.signals import task_prerun

from tests.billing.fulfilling import amounts_awarded, make_grant, make_subscription
from tests.billing.recharging import charges
from tests.contrib.project import app
from tests.contrib.waiting import make_due, make_expired, make_rechargeable
from tests.factories import amounts_of, configured, make_user, make_wallet, stored
from usage_credits import InvalidValue
from usage_credits.contrib.celery import (
    expire_credits,
    fulfill_credits,
    recharge_credits,
    recharge_when_due,
    verify_credits,
)
from usage_credits.contrib.jobs import JobFailed
from usage_credits.models import Wallet
from usage_credits.testing import FakeStripe, capture_events

pytestmark = pytest.mark.django_db

TASKS = [fulfill_credits, expire_credits, recharge_credits, verify_credits]


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run what is sent at once, in this process; real workers are in test_celery_workers.py."""
    monkeypatch.setitem(app.conf, "task_always_eager", True)


@pytest.fixture
def begun() -> Iterator[list[dict[str, Any]]]:
    """Return the arguments of each task that a worker begins."""
    arguments = []

    def note(kwargs: dict[str, Any], **_: object) -> None:
        arguments.append(kwargs)

    task_prerun.connect(note)
    yield arguments
    task_prerun.disconnect(note)


def keys(wallets: list[Wallet]) -> tuple[int, int]:
    return wallets[0].pk, wallets[-1].pk


def test_expire_credits_books_what_the_command_would_book() -> None:
    wallets = make_expired(3)
    done = expire_credits.delay(batch_size=2).get()
    assert done == {"wallets": 3, "lots": 3, "credits": 30, "holds": 0}
    assert [amounts_of(wallet) for wallet in wallets] == [[5, 10, -10]] * 3


def test_fulfill_credits_awards_what_the_command_would_award() -> None:
    wallets = make_due(3)
    done = fulfill_credits.delay(batch_size=2).get()
    assert done == {"awarded": 3, "credits": 210, "failed": 0, "tried": 3}
    assert [amounts_of(wallet) for wallet in wallets] == [[70]] * 3


def test_recharge_credits_charges_what_the_command_would_charge(fake: FakeStripe) -> None:
    wallets = [make_rechargeable(fake).wallet() for _ in range(3)]
    one = recharge_credits.delay(wallets=[wallets[0].pk, wallets[0].pk]).get()
    assert one == {"paid": 1, "failed": 0, "processing": 0, "unanswered": 0}
    assert recharge_credits.delay().get()["paid"] == 2
    assert len(charges(fake)) == 3


def test_recharge_credits_fails_where_stripe_does_not_answer(fake: FakeStripe) -> None:
    make_rechargeable(fake)
    with fake.outage():
        outcome = recharge_credits.delay()
    assert str(outcome.result) == "Recharges without an answer: 1. Paid: 0."


def test_wallet_that_runs_low_is_recharged_at_once_by_a_callback(
    fake: FakeStripe, begun: list[dict[str, Any]]
) -> None:
    owner, other = make_rechargeable(fake, 60), make_user(60)
    fake.requests.clear()
    with configured(CALLBACKS={"credits_deducted": recharge_when_due}):
        for debit in (10, 1, 1):
            with capture_events():
                owner.wallet().debit(debit)
                other.wallet().debit(20)
    pk = owner.wallet().pk
    assert begun == [{"wallets": [pk, pk], "database": "default"}]
    assert len(charges(fake)) == 1


def test_verify_credits_finds_a_used_ledger_sound() -> None:
    make_wallet(credits=100).debit(30)
    assert verify_credits.delay().get() == {"findings": 0}


@pytest.mark.parametrize("shards", [1, 3])
def test_tasks_sent_again_change_nothing_more(shards: int) -> None:
    make_expired(4)
    make_due(4)
    expire_credits.delay(shards=shards)
    fulfill_credits.delay(shards=shards)
    before = stored()
    expire_credits.delay(shards=shards)
    fulfill_credits.delay(shards=shards)
    assert stored() == before


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_shards_are_ranges_that_hold_every_wallet_once(task: Any, begun: list[dict[str, Any]]) -> None:
    wallets = [make_wallet() for _ in range(10)]
    first, last = keys(wallets)

    assert task.delay(shards=4).get() == {"ranges": 4}

    ranges = [arguments["wallets"] for arguments in begun[1:]]
    assert ranges == [
        [first, first + 2],
        [first + 3, first + 5],
        [first + 6, first + 8],
        [first + 9, last],
    ]


def test_shards_together_do_what_one_does() -> None:
    expired, due = make_expired(7), make_due(7)
    assert expire_credits.delay(shards=3).get() == fulfill_credits.delay(shards=3).get() == {"ranges": 3}
    assert {tuple(amounts_of(wallet)) for wallet in expired} == {(5, 10, -10)}
    assert {tuple(amounts_of(wallet)) for wallet in due} == {(70,)}


def test_shards_hand_on_the_other_arguments(begun: list[dict[str, Any]]) -> None:
    first, last = keys([make_wallet(), make_wallet()])
    expire_credits.delay(shards=2, batch_size=7, database="default")
    shared = {"batch_size": 7, "database": "default"}
    assert begun[1:] == [{"wallets": [first, first], **shared}, {"wallets": [last, last], **shared}]


def test_shards_of_an_empty_table_are_none(begun: list[dict[str, Any]]) -> None:
    assert expire_credits.delay(shards=8).get() == {"ranges": 0}
    assert len(begun) == 1


def test_shards_are_no_more_than_there_are_keys(begun: list[dict[str, Any]]) -> None:
    wallet = make_wallet()
    assert expire_credits.delay(shards=8).get() == {"ranges": 1}
    assert [arguments["wallets"] for arguments in begun[1:]] == [[wallet.pk, wallet.pk]]


def test_shards_part_the_given_range_only(begun: list[dict[str, Any]]) -> None:
    wallets = make_expired(6)
    expire_credits.delay(wallets=[wallets[2].pk, wallets[5].pk + 1_000], shards=2)
    ranges = [arguments["wallets"] for arguments in begun[1:]]
    assert ranges == [[wallets[2].pk, wallets[3].pk], [wallets[4].pk, wallets[5].pk]]
    assert [len(amounts_of(wallet)) for wallet in wallets] == [2, 2, 3, 3, 3, 3]


def test_range_leaves_out_all_other_wallets() -> None:
    expired, due = make_expired(3), make_due(3)
    expire_credits.delay(wallets=[expired[1].pk, expired[1].pk])
    fulfill_credits.delay(wallets=[due[1].pk, due[1].pk])
    assert [len(amounts_of(wallet)) for wallet in expired] == [2, 3, 2]
    assert [len(amounts_of(wallet)) for wallet in due] == [0, 1, 0]


def test_fulfill_credits_fails_where_any_failed_and_awards_the_others() -> None:
    make_subscription(make_wallet(), "gone")
    good = make_grant(make_wallet())
    outcome = fulfill_credits.delay()
    assert outcome.state == "FAILURE"
    assert isinstance(outcome.result, JobFailed)
    assert str(outcome.result) == "Fulfillments that stay due: 1. Awards made: 1."
    assert amounts_awarded(good) == [70]


def test_verify_credits_fails_and_logs_what_it_found(caplog: pytest.LogCaptureFixture) -> None:
    sound, unsound = make_wallet(credits=100), make_wallet(credits=100)
    Wallet.objects.filter(pk=unsound.pk).update(booked_balance=99)
    assert verify_credits.delay(wallets=[sound.pk, sound.pk]).get() == {"findings": 0}
    with caplog.at_level(logging.ERROR, "usage_credits"):
        outcome = verify_credits.delay()
    assert isinstance(outcome.result, JobFailed)
    assert str(outcome.result) == "Rows that break an invariant: 2."
    messages = [record.getMessage() for record in caplog.records if record.name == "usage_credits"]
    assert len(messages) == 2
    assert all(message.startswith(f"INV-1 wallet {unsound.pk}, wallet {unsound.pk}") for message in messages)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("wallets", [5, 1]),
        ("wallets", [0, 5]),
        ("wallets", [1, 2**63]),
        ("wallets", [1]),
        ("wallets", [True, 5]),
        ("wallets", "1-5"),
        ("shards", 0),
        ("shards", 1_001),
        ("shards", 2.0),
        ("batch_size", 0),
        ("batch_size", 10_001),
        ("batch_size", "7"),
        ("database", "nowhere"),
    ],
)
def test_tasks_refuse_arguments_before_they_do_anything(field: str, value: object) -> None:
    make_expired(1)
    before = stored()
    with pytest.raises(InvalidValue) as refused:
        expire_credits(**{field: value})
    assert refused.value.field == field
    assert "allowed is" in str(refused.value)
    assert stored() == before


def test_usage_credits_works_where_celery_is_missing() -> None:
    code = (
        "import sys\n"
        "sys.modules['celery'] = None\n"
        "import django, usage_credits\n"
        "django.setup()\n"
        "from django.core.management import call_command\n"
        "call_command('check', '--fail-level', 'ERROR')\n"
        "print(*(getattr(usage_credits, name) for name in usage_credits.__all__))"
    )
    environment = {"DJANGO_SETTINGS_MODULE": "tests.settings", "TEST_DATABASE": "sqlite"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)

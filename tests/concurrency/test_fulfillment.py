from __future__ import annotations

import datetime
import signal
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest
import stripe
import time_machine
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.db.models import Count
from django.utils import timezone

from tests.app.models import User
from tests.billing.subscribing import PRICES, awards_of, subscribe
from tests.concurrency.delivery import receive
from tests.concurrency.processes import run_in_threads, run_together
from usage_credits.billing.fulfillment import Fulfilled, fulfill_due
from usage_credits.ledger.verification import verify
from usage_credits.models import Fulfillment, FulfillmentKind, Wallet
from usage_credits.testing import FakeStripeServer, receive_webhooks

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

WORK = "tests.concurrency.delivery:work"
FULFILL = "tests.concurrency.work:fulfill"
FULFILL_BESIDE = "tests.concurrency.work:fulfill_beside"
FULFILL_UNTIL_KILLED = "tests.concurrency.work:fulfill_until_killed"
RECEIVE = "tests.concurrency.delivery:receive"


def make_due(number: int) -> None:
    """Store as many users with a wallet and a fulfillment that is due, in an insert each."""
    users = User.objects.bulk_create(User(username=f"user {position}") for position in range(number))
    kind = ContentType.objects.get_for_model(User)
    wallets = Wallet.objects.bulk_create(Wallet(owner_type=kind, owner_id=str(user.pk)) for user in users)
    due = timezone.now() - datetime.timedelta(minutes=1)
    Fulfillment.objects.bulk_create(
        Fulfillment(
            wallet=wallet,
            kind=FulfillmentKind.SUBSCRIPTION,
            plan_name="pro",
            period="P1M",
            anchor=due,
            next_fulfillment_at=due,
        )
        for wallet in wallets
    )


def awards_of_each() -> set[int]:
    """Return how many awards the fulfillments have."""
    assert not Fulfillment.objects.due(timezone.now()).exists()
    assert list(verify()) == []
    return set(Fulfillment.objects.annotate(awards=Count("transactions")).values_list("awards", flat=True))


@pytest.mark.behaviour("FUL-10", "FUL-11", "FUL-13")
def test_workers_at_once_award_each_fulfillment_once() -> None:
    make_due(120)

    answers = run_together(FULFILL, [(7,)] * 4)

    assert sum(answers, Fulfilled()) == Fulfilled(awarded=120, credits=60_000, failed=0, tried=120)
    assert awards_of_each() == {1}


@pytest.mark.behaviour("FUL-10", "FUL-11", "FUL-12")
def test_worker_that_is_killed_loses_nothing_of_ten_thousand(tmp_path: Path) -> None:
    make_due(10_000)
    marker = str(tmp_path / "in the middle")

    work = [(FULFILL_UNTIL_KILLED, 500, 2, marker), (FULFILL_BESIDE, 500, marker)]
    killed, survivor = run_together(WORK, work)

    assert str(killed) == f"ended with {-signal.SIGKILL}"
    assert survivor.failed == 0
    # What was about to be committed may still be held while the survivor ends: the next run awards it then.
    rest = sum(fulfill_due(), Fulfilled())
    assert survivor.awarded + rest.awarded == 10_000 - 2 * 500
    assert awards_of_each() == {1}


@pytest.mark.behaviour("FUL-11")
def test_worker_takes_up_last_what_others_hold() -> None:
    make_due(3)
    held, others = threading.Event(), threading.Event()

    def act(number: int) -> list[int]:
        if number == 0:
            with transaction.atomic():
                Fulfillment.objects.order_by("pk")[0].wallet.credit(5)
                held.set()
                others.wait(timeout=5 if connection.features.has_select_for_update_skip_locked else 1)
            return []
        held.wait(timeout=30)
        awarded = []
        for batch in fulfill_due(batch_size=1):
            awarded.append(batch.awarded)
            if len(awarded) == 3:
                others.set()
        return awarded

    _none, awarded = run_in_threads(2, act)

    # SQLite has no rows to lock: there a worker waits for whoever writes.
    can_skip = connection.features.has_select_for_update_skip_locked
    assert awarded == ([0, 1, 1, 1] if can_skip else [1, 1, 1])
    assert awards_of_each() == {1}


@pytest.mark.behaviour("FUL-10", "DEC-08")
def test_job_and_webhooks_at_once_award_a_date_once(monkeypatch: pytest.MonkeyPatch) -> None:
    user = User.objects.create(username="ada", email="ada@example.com")
    kept: list[tuple[str, bytes, Mapping[str, str]]] = []

    def keep(url: str, body: bytes, headers: Mapping[str, str]) -> int:
        kept.append((url, body, headers))
        return 200

    with FakeStripeServer(send=keep) as server:
        fake = server.fake
        monkeypatch.setattr(stripe, "api_base", server.url)
        receive_webhooks()
        # Paid by the year, awarded by the month.
        fake.add_price("price_roll", amount=PRICES["price_roll"], interval="year")
        with time_machine.travel(timezone.now() - datetime.timedelta(days=70)):
            subscription = subscribe(fake, user, "price_roll")
            for event in fake.events_for(subscription):
                fake.deliver(event)
            assert receive(server.url, kept) == [200] * len(kept)
        assert awards_of(subscription) == [("subscription_credits", 1_000)]
        kept.clear()
        for event in fake.events_for(subscription):
            fake.deliver(event)
        tasks = [(RECEIVE, server.url, kept), (FULFILL, 10), (RECEIVE, server.url, kept[::-1]), (FULFILL, 10)]
        told, _done, told_again, _done_again = run_together(WORK, tasks)
    assert told == told_again == [200] * len(kept)
    assert awards_of(subscription) == [("subscription_credits", 1_000)] * 3
    assert awards_of_each() == {3}

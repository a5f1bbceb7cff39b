from __future__ import annotations

from collections.abc import Mapping

import pytest
import stripe

from tests.app.models import User
from tests.billing.shopping import check_out
from tests.concurrency.processes import run_together
from usage_credits.ledger.verification import verify
from usage_credits.models import Fulfillment, PaymentNotice, Transaction
from usage_credits.testing import FakeStripeServer, receive_webhooks

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

RECEIVE = "tests.concurrency.delivery:receive"

PURCHASES = 8


class Post:
    """Keeps deliveries instead of making them."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, bytes, Mapping[str, str]]] = []

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        self.kept.append((url, body, headers))
        return 200


@pytest.mark.behaviour("PFL-11")
def test_award_once_when_processes_are_told_of_the_same_purchases(monkeypatch: pytest.MonkeyPatch) -> None:
    user = User.objects.create(username="ada", email="ada@example.com")
    post = Post()
    with FakeStripeServer(send=post) as server:
        fake = server.fake
        monkeypatch.setattr(stripe, "api_base", server.url)
        receive_webhooks()
        for _number in range(PURCHASES):
            session = fake.pay(check_out(user, "hundred").id)
            for event in fake.events_for(session):
                fake.deliver(event)
        # One process hears of each purchase by its charge, one by its payment intent, two by its session.
        shares = [post.kept[position::3] for position in (0, 1, 2, 2)]
        answers = run_together(RECEIVE, [(server.url, share) for share in shares])
    assert answers == [[200] * PURCHASES] * 4
    assert Fulfillment.objects.count() == PURCHASES
    assert [row.amount for row in Transaction.objects.all()] == [100] * PURCHASES
    assert user.credits == 100 * PURCHASES
    assert not PaymentNotice.objects.exists()
    assert list(verify()) == []


@pytest.mark.behaviour("PFL-11", "PFL-14")
def test_award_once_when_processes_meet_an_owner_without_wallet(monkeypatch: pytest.MonkeyPatch) -> None:
    (user,) = User.objects.bulk_create([User(username="ada", email="ada@example.com")])
    assert not user.has_wallet()
    post = Post()
    with FakeStripeServer(send=post) as server:
        fake = server.fake
        monkeypatch.setattr(stripe, "api_base", server.url)
        receive_webhooks()
        session = fake.pay(check_out(user).id)
        for event in fake.events_for(session):
            fake.deliver(event)
        answers = run_together(RECEIVE, [(server.url, [delivery]) for delivery in post.kept])
    assert answers == [[200]] * 3
    assert [row.amount for row in Transaction.objects.all()] == [1_000]

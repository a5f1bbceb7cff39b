from __future__ import annotations

import pytest
import stripe

from tests.app.models import User
from tests.concurrency.processes import run_together
from tests.concurrency.test_purchases import RECEIVE, Post
from usage_credits.billing.stripe_customers import ensure_customer
from usage_credits.ledger.verification import verify
from usage_credits.models import Fulfillment, PaymentNotice, Transaction
from usage_credits.testing import FakeStripeServer, receive_webhooks

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

SUBSCRIPTIONS = 4
TOLD = ("customer.subscription.created", "invoice.paid", "customer.subscription.updated")


@pytest.mark.behaviour("SUB-10", "DEC-20")
def test_award_once_when_processes_are_told_of_the_same_subscriptions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (user,) = User.objects.bulk_create([User(username="ada", email="ada@example.com")])
    post = Post()
    with FakeStripeServer(send=post) as server:
        fake = server.fake
        monkeypatch.setattr(stripe, "api_base", server.url)
        receive_webhooks()
        fake.add_price("price_pro", amount=2_900)
        customer = ensure_customer(user)
        for _number in range(SUBSCRIPTIONS):
            subscription = fake.subscribe(customer, "price_pro")
            for event in fake.events_for(subscription):
                if event["type"] in TOLD:
                    fake.deliver(event)
        # One process hears that each began, one that it was paid, two that it is active now.
        shares = [post.kept[position :: len(TOLD)] for position in (0, 1, 2, 2)]
        answers = run_together(RECEIVE, [(server.url, share) for share in shares])
    assert answers == [[200] * SUBSCRIPTIONS] * 4
    assert Fulfillment.objects.count() == SUBSCRIPTIONS
    assert sorted(row.amount for row in Transaction.objects.all()) == sorted([100, 500] * SUBSCRIPTIONS)
    assert user.credits == 600 * SUBSCRIPTIONS
    assert not PaymentNotice.objects.exists()
    assert list(verify()) == []

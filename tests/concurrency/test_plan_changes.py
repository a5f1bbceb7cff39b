from __future__ import annotations

import pytest
import stripe

from tests.app.models import User
from tests.billing.subscribing import PRICES, awards_of, subscribe
from tests.concurrency.processes import run_together
from tests.concurrency.test_purchases import RECEIVE, Post
from usage_credits.ledger.verification import verify
from usage_credits.models import Fulfillment
from usage_credits.testing import FakeStripeServer, receive_webhooks

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

SUBSCRIPTIONS = 4
FIRST = [("subscription_signup_bonus", 100), ("subscription_credits", 500)]


@pytest.mark.behaviour("CHG-26", "CHG-27", "DEC-20")
@pytest.mark.parametrize("prorations", ["create_prorations", "none"])
def test_award_one_upgrade_when_processes_are_told_at_once(
    monkeypatch: pytest.MonkeyPatch, prorations: str
) -> None:
    users = [User.objects.create(username=name, email=f"{name}@example.com") for name in ("ada", "bob")]
    post = Post()
    with FakeStripeServer(send=post) as server:
        fake = server.fake
        monkeypatch.setattr(stripe, "api_base", server.url)
        receive_webhooks()
        for price, amount in PRICES.items():
            fake.add_price(price, amount=amount)
        subscriptions = [subscribe(fake, users[number % 2]) for number in range(SUBSCRIPTIONS)]
        fake.deliver_pending()
        assert set(run_together(RECEIVE, [(server.url, post.kept)])[0]) == {200}
        post.kept.clear()
        for subscription in subscriptions:
            fake.change_plan(subscription, "price_prem", proration_behavior=prorations)
            told = fake.event("customer.subscription.updated")
            for event in (told, fake.reissue(told), fake.reissue(told)):
                fake.deliver(event)
        shares = [post.kept[position::3] for position in (0, 1, 2)]
        answers = run_together(RECEIVE, [(server.url, share) for share in shares])
    assert answers == [[200] * SUBSCRIPTIONS] * 3
    for subscription in subscriptions:
        assert awards_of(subscription) == [*FIRST, ("subscription_upgrade", 2_000)]
    assert {fulfillment.plan_name for fulfillment in Fulfillment.objects.all()} == {"prem"}
    assert [user.credits for user in users] == [5_200, 5_200]
    assert list(verify()) == []


@pytest.mark.behaviour("CHG-26", "DEC-20")
def test_award_each_larger_plan_once_when_processes_are_told_of_every_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    user = User.objects.create(username="ada", email="ada@example.com")
    post = Post()
    with FakeStripeServer(send=post) as server:
        fake = server.fake
        monkeypatch.setattr(stripe, "api_base", server.url)
        receive_webhooks()
        for price, amount in PRICES.items():
            fake.add_price(price, amount=amount)
        subscription = subscribe(fake, user)
        fake.deliver_pending()
        run_together(RECEIVE, [(server.url, post.kept)])
        post.kept.clear()
        for price in ("price_prem", "price_pro", "price_prem", "price_pro", "price_prem"):
            fake.change_plan(subscription, price)
            fake.deliver(fake.event("customer.subscription.updated"))
        answers = run_together(RECEIVE, [(server.url, [delivery]) for delivery in post.kept[1:]])
    assert answers == [[200]] * 4
    assert awards_of(subscription) == [*FIRST, ("subscription_upgrade", 2_000)]
    assert user.credits == 2_600
    assert list(verify()) == []

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import stripe
import time_machine
from django.db import connections

from tests.app.models import User
from tests.billing.recharging import INTENTS, charges, deliver, give_card
from tests.concurrency.processes import run_in_threads, run_together
from usage_credits import InsufficientCredits, recharge_if_due
from usage_credits.billing import recharge
from usage_credits.billing.recharge import Recharged, recharge_due
from usage_credits.ledger.verification import verify
from usage_credits.models import Fulfillment, Recharge, Wallet
from usage_credits.testing import FakeStripe, FakeStripeServer, receive_webhooks, use_fake_stripe

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

WORKERS = 6


@pytest.fixture
def fake() -> Iterator[FakeStripe]:
    with use_fake_stripe(FakeStripe()) as fake:
        receive_webhooks()
        yield fake


@pytest.fixture
def payer(fake: FakeStripe) -> User:
    """A user with a card whom nothing recharges yet; what Stripe tells of the card is delivered."""
    user = User.objects.create(username="ada", email="ada@example.com")
    give_card(fake, user)
    deliver(fake)
    return user


@pytest.mark.behaviour("TOK-09")
def test_charge_once_when_many_find_the_same_wallet_due(fake: FakeStripe, payer: User) -> None:
    payer.set_recharge("hundred", threshold=50)
    wallet = payer.wallet()
    made = run_in_threads(
        WORKERS, lambda number: recharge_if_due(wallet) if number % 2 else sum(recharge_due(), Recharged())
    )
    assert not [one for one in made if isinstance(one, Exception)]
    assert len(charges(fake)) == Recharge.objects.count() == 1
    deliver(fake)
    assert payer.credits == 100


@pytest.mark.behaviour("TOK-09")
def test_share_the_wallets_that_are_due(fake: FakeStripe, payer: User) -> None:
    users = [User.objects.create(username=f"user {number}", email="a@example.com") for number in range(12)]
    for user in users:
        give_card(fake, user)
        user.set_recharge("hundred", threshold=50)
    deliver(fake)
    done = run_in_threads(WORKERS, lambda _number: sum(recharge_due(batch_size=5), Recharged()))
    assert sum(done, Recharged()) == Recharged(paid=12)
    assert len(charges(fake)) == 12
    deliver(fake)
    assert {user.credits for user in users} == {100}


@pytest.mark.behaviour("TOK-09", "TOK-10")
def test_charge_once_though_the_process_is_killed_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    user = User.objects.create(username="ada", email="ada@example.com")
    with FakeStripeServer() as server:
        monkeypatch.setattr(stripe, "api_base", server.url)
        receive_webhooks()
        give_card(server.fake, user)
        user.set_recharge("hundred", threshold=50)
        killed = "tests.concurrency.delivery:recharge_until_killed"
        (outcome,) = run_together(killed, [(server.url, user.wallet().pk)])
        assert isinstance(outcome, ChildProcessError)
        made = Recharge.objects.get()
        assert (made.state, made.payment, len(charges(server.fake))) == ("started", None, 1)
        assert recharge_if_due(user.wallet()) is None
        with time_machine.travel(made.created_at + recharge.LEASE, tick=False):
            again = recharge_if_due(user.wallet())
        assert again
        assert (again.pk, again.state, len(charges(server.fake))) == (made.pk, "paid", 1)


@pytest.mark.behaviour("TOK-09", "TOK-10", "TOK-11")
def test_nothing_makes_recharges_run_away(
    fake: FakeStripe, payer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Everybody asks about everything at once, and answers are lost, cards declined and notices repeated meanwhile.
    monkeypatch.setattr(recharge, "LEASE", recharge.LEASE * 0)
    payer.set_recharge("hundred", threshold=50, max_per_day=7, max_per_month=9)
    customer = fake.all("customer")[0]

    def live(number: int) -> None:
        chance = random.Random(number)
        wallet = Wallet.objects.get(owner_id=str(payer.pk))
        for _step in range(25):
            match (number + chance.randrange(3)) % 4:
                case 0:
                    debit(wallet, chance.randint(1, 60))
                case 1:
                    with fake.lost_answers(INTENTS) if chance.random() < 0.5 else nullcontext():
                        recharge_if_due(wallet)
                case 2:
                    sum(recharge_due(), Recharged())
                case _:
                    for event in fake.announced[-6:]:
                        fake.deliver(event, times=2)
            if chance.random() < 0.1:
                fake.fail_card(customer)
                fake.mend_card(customer)

    outcomes = run_in_threads(WORKERS, live)
    assert [outcome for outcome in outcomes if outcome is not None] == []
    assert Recharge.objects.in_flight().count() <= 1
    settle_all(fake, payer)

    paid = charges(fake)
    assert 0 < len(paid) <= 7
    assert Recharge.objects.filter(state="succeeded").count() == Fulfillment.objects.count() == len(paid)
    awards = payer.credit_history.filter(category="credit_pack_purchase")
    assert [row.amount for row in awards] == [100] * len(paid)
    keys = [intent["metadata"]["usage_credits_recharge"] for intent in paid]
    assert len(set(keys)) == len(keys)
    assert list(verify()) == []


def debit(wallet: Wallet, amount: int) -> None:
    try:
        wallet.debit(amount)
    except InsufficientCredits as refusal:
        if refusal.available:
            debit_rest(wallet, refusal.available)


def debit_rest(wallet: Wallet, amount: int) -> None:
    try:
        wallet.debit(amount)
    except InsufficientCredits:
        return


def settle_all(fake: FakeStripe, payer: Any) -> None:
    """Let all that is in flight come to its end, and stop what would begin anew."""
    payer.stop_recharge()
    for _round in range(5):
        sum(recharge_due(), Recharged())
        deliver(fake)
    connections["default"].close()

from __future__ import annotations

import datetime
from collections.abc import Iterator

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.app.models import User
from tests.billing.recharging import INTENTS, charges, deliver, give_card
from tests.factories import make_user, stored
from tests.management.running import run
from usage_credits.billing.recharge import MOST_UNANSWERED
from usage_credits.billing.stripe_customers import ensure_customer
from usage_credits.models import Recharge
from usage_credits.testing import FakeStripe, receive_webhooks, use_fake_stripe

pytestmark = pytest.mark.django_db

NOON = datetime.datetime(2030, 1, 31, 12, tzinfo=datetime.UTC)
SAID = "Charged {} recharge{}, {} failed, {} on their way, {} without an answer.\n"


@pytest.fixture
def fake(db: None) -> Iterator[FakeStripe]:
    with use_fake_stripe(FakeStripe()) as fake:
        receive_webhooks()
        yield fake


def make_due(fake: FakeStripe, number: int = 1) -> list[User]:
    """Return users with a card whose empty wallets are to be recharged."""
    users = [make_user() for _ in range(number)]
    for user in users:
        give_card(fake, user)
        user.set_recharge("hundred", threshold=50)
    deliver(fake)
    return users


@pytest.mark.behaviour("TOK-05")
def test_recharge_credits_charges_every_wallet_that_is_due(fake: FakeStripe) -> None:
    users = make_due(fake, 3)
    make_due(fake)[0].give_credits(50)
    outcome = run("recharge_credits", "--batch-size", "2")
    assert (outcome.stdout, outcome.code) == (SAID.format(3, "s", 0, 0, 0), 0)
    deliver(fake)
    assert [user.credits for user in users] == [100] * 3


@pytest.mark.behaviour("TOK-09")
def test_recharge_credits_again_charges_nobody_twice(fake: FakeStripe) -> None:
    make_due(fake, 2)
    run("recharge_credits")
    assert run("recharge_credits").stdout == SAID.format(0, "s", 0, 0, 0)
    deliver(fake)
    before = stored()
    assert run("recharge_credits").stdout == SAID.format(0, "s", 0, 0, 0)
    assert (len(charges(fake)), stored()) == (2, before)


def test_recharge_credits_on_a_dry_run_asks_nobody(fake: FakeStripe) -> None:
    make_due(fake, 2)
    before = stored()
    fake.requests.clear()
    assert run("recharge_credits", "--dry-run").stdout == "Would try 2 recharges.\n"
    assert (fake.requests, stored()) == ([], before)


def test_recharge_credits_of_some_wallets_charges_no_other(fake: FakeStripe) -> None:
    first, second, third = make_due(fake, 3)
    assert run("recharge_credits", "--wallets", str(second.wallet().pk)).stdout.startswith("Charged 1 ")
    assert Recharge.objects.get().wallet == second.wallet()
    run("recharge_credits", "--wallets", f"{third.wallet().pk}-")
    deliver(fake)
    assert [first.credits, second.credits, third.credits] == [0, 100, 100]


@pytest.mark.behaviour("TOK-11")
def test_recharge_credits_goes_on_after_a_card_that_is_declined(fake: FakeStripe) -> None:
    first, second, third = make_due(fake, 3)
    fake.fail_card(ensure_customer(second))
    fake.add_bank_account(ensure_customer(third))
    outcome = run("recharge_credits")
    assert (outcome.stdout, outcome.code) == (SAID.format(1, "", 1, 1, 0), 0)
    deliver(fake)
    assert [first.credits, second.credits, third.credits] == [100, 0, 0]


@pytest.mark.behaviour("TOK-10")
def test_recharge_credits_asks_again_for_answers_that_were_lost(fake: FakeStripe) -> None:
    make_due(fake, 2)
    with time_machine.travel(NOON, tick=False) as clock:
        with fake.lost_answers(INTENTS):
            outcome = run("recharge_credits")
        assert (outcome.stderr, outcome.code) == (SAID.format(0, "s", 0, 0, 2), 1)
        clock.shift(datetime.timedelta(minutes=10))
        assert run("recharge_credits").stdout == SAID.format(2, "s", 0, 0, 0)
    assert len(charges(fake)) == 2


def test_recharge_credits_ends_where_stripe_is_down(fake: FakeStripe) -> None:
    make_due(fake, MOST_UNANSWERED + 2)
    with fake.outage():
        outcome = run("recharge_credits")
    assert outcome.stderr == SAID.format(0, "s", 0, 0, MOST_UNANSWERED)
    assert Recharge.objects.count() == MOST_UNANSWERED
    assert run("recharge_credits").stdout == SAID.format(2, "s", 0, 0, 0)


def test_recharge_credits_finds_what_is_due_by_one_statement(fake: FakeStripe) -> None:
    for user in make_due(fake, 5):
        user.give_credits(50)
    with CaptureQueriesContext(connection) as statements:
        run("recharge_credits")
    assert len([one for one in statements if "usage_credits_rechargesetting" in one["sql"]]) == 2


@pytest.mark.parametrize(
    ("option", "value"), [("--batch-size", "0"), ("--wallets", "5-1"), ("--database", "nowhere")]
)
def test_recharge_credits_refuses_options_out_of_range(option: str, value: str) -> None:
    outcome = run("recharge_credits", f"{option}={value}")
    assert outcome.code == 1
    assert outcome.stderr.startswith(f"{option}: got {value!r}" if option != "--batch-size" else option)

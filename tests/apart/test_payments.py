"""Packs and recharges where dj-stripe's tables are in one database and the ledger, with a replica, in another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.db import connections

from tests.app.models import User
from tests.billing.recharging import INTENTS, charges, deliver, give_card, recharge, recharged
from tests.billing.shopping import buy, check_out_plan, give_back
from tests.factories import names
from usage_credits import recharge_if_due
from usage_credits.billing.recharge import LEASE
from usage_credits.billing.stripe_customers import ensure_customer
from usage_credits.models import Fulfillment, Recharge, RechargeSetting
from usage_credits.testing import (
    FakeStripe,
    assert_ledger_sound,
    capture_events,
    receive_webhooks,
    use_fake_stripe,
)

pytestmark = pytest.mark.django_db(databases=["default", "ledger", "replica"], transaction=True)


class Replica:
    """What was read from the replica, and what of it within a transaction."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.read_in_transactions: list[str] = []

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        self.read.append(sql)
        if connections["ledger"].in_atomic_block:
            self.read_in_transactions.append(sql)
        return execute(sql, params, many, context)


@pytest.fixture(autouse=True)
def replica() -> Iterator[Replica]:
    replica = Replica()
    with connections["replica"].execute_wrapper(replica):
        yield replica
    assert replica.read_in_transactions == []


@pytest.fixture
def fake(db: None) -> Iterator[FakeStripe]:
    with use_fake_stripe(FakeStripe()) as fake:
        receive_webhooks()
        yield fake
    assert_ledger_sound()


@pytest.fixture
def payer(fake: FakeStripe) -> User:
    """A user with a card who agreed to buy the pack starter below 100 credits."""
    user = User.objects.create(username="ada", email="ada@example.com")
    give_card(fake, user)
    deliver(fake)
    user.set_recharge("starter", threshold=100)
    return user


def test_tables_are_where_the_router_puts_them(fake: FakeStripe) -> None:
    main, ledger = (set(connections[alias].introspection.table_names()) for alias in ("default", "ledger"))
    assert {"djstripe_customer", "app_user", "django_content_type"} <= main
    assert {"usage_credits_recharge", "django_content_type"} <= ledger
    assert not {name for name in main if name.startswith("usage_credits")}


def test_pack_is_awarded_and_taken_back(fake: FakeStripe, payer: User) -> None:
    session = buy(fake, payer, "bonus")
    assert payer.credits == 600
    give_back(fake, session, 2_900)
    assert payer.credits == 0


def test_subscription_is_awarded(fake: FakeStripe, payer: User) -> None:
    fake.add_price("price_pro", amount=2_900)
    fake.pay(check_out_plan(payer).id)
    deliver(fake)
    assert payer.credits == 600
    deliver(fake)
    assert payer.credits == 600


@pytest.mark.behaviour("TOK-09", "TOK-10")
def test_recharge_is_charged_and_awarded_once(fake: FakeStripe, payer: User) -> None:
    made = recharged(payer)
    assert (made._state.db, made.state) == ("ledger", "paid")
    assert recharge(payer) is None
    with capture_events() as events:
        for event in list(fake.pending):
            assert set(fake.deliver(event, times=2)) == {200}
    assert names(events).count("recharge_succeeded") == 1
    assert (payer.credits, len(charges(fake))) == (1_000, 1)
    assert recharge(payer) is None
    assert Recharge.objects.using("ledger").get().fulfillment == Fulfillment.objects.using("ledger").get()


@pytest.mark.parametrize("chosen", [True, False])
def test_what_is_charged_does_not_depend_on_the_replica(
    fake: FakeStripe, payer: User, replica: Replica, chosen: bool
) -> None:
    method = give_card(fake, payer)["id"]
    payer.set_recharge("starter", threshold=100, payment_method=method if chosen else None)
    wallet = payer.wallet()
    replica.read.clear()
    assert recharge_if_due(wallet)
    assert replica.read == []


@pytest.mark.behaviour("TOK-10")
def test_recharge_whose_answer_is_lost_is_charged_once(fake: FakeStripe, payer: User) -> None:
    with fake.lost_answers(INTENTS):
        made = recharged(payer)
    with time_machine.travel(made.next_attempt_at):
        assert recharged(payer).state == "paid"
    with time_machine.travel(made.created_at + 10 * LEASE):
        assert recharged(payer).state == "succeeded"
    deliver(fake)
    assert (payer.credits, len(charges(fake))) == (1_000, 1)


@pytest.mark.behaviour("TOK-11")
def test_card_that_is_declined_pauses_and_stops_where_the_ledger_is(fake: FakeStripe, payer: User) -> None:
    fake.fail_card(ensure_customer(payer), "insufficient_funds")
    with capture_events() as events:
        assert recharged(payer).reason == "insufficient_funds"
    assert names(events) == ["recharge_failed"]
    setting = RechargeSetting.objects.using("ledger").get()
    assert setting.paused_until is not None
    assert payer.stop_recharge() == setting
    assert payer.recharge_setting == setting


def test_chosen_method_is_charged_by_the_command(fake: FakeStripe, payer: User) -> None:
    method = give_card(fake, payer)["id"]
    give_card(fake, payer)
    payer.set_recharge("starter", threshold=100, payment_method=method)
    call_command("recharge_credits", "--database", "ledger", verbosity=0)
    assert Recharge.objects.using("ledger").get().payment_method == method
    deliver(fake)
    assert payer.credits == 1_000


def test_recharge_that_was_refunded_is_the_last(fake: FakeStripe, payer: User) -> None:
    recharged(payer)
    deliver(fake)
    fake.refund(charges(fake)[0]["latest_charge"])
    deliver(fake)
    assert (payer.credits, recharge(payer)) == (0, None)
    assert RechargeSetting.objects.using("ledger").get().stop_reason == "refunded"

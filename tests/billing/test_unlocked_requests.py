from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import connection

from tests.app.models import User
from tests.billing.shopping import buy, charge_of, check_out
from tests.billing.subscribing import awards_of, stripe_at, subscribe
from usage_credits.ledger.verification import verify
from usage_credits.models import Transaction
from usage_credits.testing import FakeStripe, receive_webhooks, use_fake_stripe

pytestmark = pytest.mark.django_db(transaction=True)


class WatchingStripe(FakeStripe):
    """A Stripe that takes note of what it is asked by a transaction that holds a wallet."""

    def __init__(self) -> None:
        super().__init__()
        self.is_held = False
        self.asked_while_held: list[str] = []
        self.meanwhile: list[Callable[[], object]] = []
        """What happens while a payment intent is on its way."""

    def handle(self, method: str, path: str, query: str, headers: Mapping[str, str]) -> Any:
        if self.is_held and connection.in_atomic_block:
            self.asked_while_held.append(path)
        answer = super().handle(method, path, query, headers)
        if path.startswith("/v1/payment_intents/") and "latest_charge" in query and self.meanwhile:
            self.meanwhile.pop()()
        return answer

    def watch(self, call: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        if not connection.in_atomic_block:
            self.is_held = False
        elif "usage_credits_wallet" in sql and ("UPDATE" in sql or sql.startswith("INSERT")):
            self.is_held = True
        return call(sql, params, many, context)


@pytest.fixture
def watching() -> Iterator[WatchingStripe]:
    stripe = WatchingStripe()
    with use_fake_stripe(stripe), stripe_at(stripe), connection.execute_wrapper(stripe.watch):
        receive_webhooks()
        yield stripe
    assert list(verify()) == []


def hear(stripe: FakeStripe) -> None:
    assert set(stripe.deliver_pending()) == {200}


def test_ask_nothing_of_purchases_while_their_wallet_is_held(watching: WatchingStripe, user: User) -> None:
    session = buy(watching, user)
    watching.refund(charge_of(watching, session), 2_450)
    hear(watching)
    dispute = watching.open_dispute(charge_of(watching, session), 1_225)
    hear(watching)
    watching.win_dispute(dispute)
    hear(watching)
    assert list(Transaction.objects.oldest_first().values_list("amount", flat=True)) == [
        1_000,
        -500,
        -250,
        250,
    ]
    assert watching.asked_while_held == []


def test_ask_nothing_of_subscriptions_while_their_wallet_is_held(
    watching: WatchingStripe, user: User
) -> None:
    subscription = subscribe(watching, user, "price_roll")
    hear(watching)
    watching.refund(watching.all("charge")[-1], 2_450)
    hear(watching)
    assert awards_of(subscription) == [("subscription_credits", 1_000), ("subscription_refund", -500)]
    assert watching.asked_while_held == []


def test_look_again_after_an_award_that_a_whole_refund_overtook(watching: WatchingStripe, user: User) -> None:
    session = watching.pay(check_out(user).id)

    def refund_and_tell() -> None:
        watching.refund(charge_of(watching, session))
        assert watching.deliver(watching.event("charge.refunded")) == [200]
        assert not Transaction.objects.exists()

    watching.meanwhile = [refund_and_tell]
    assert watching.deliver(watching.event("checkout.session.completed")) == [200]
    assert list(Transaction.objects.oldest_first().values_list("amount", flat=True)) == [1_000, -1_000]


def test_keep_an_award_of_which_stripe_cannot_be_asked_again(
    watching: WatchingStripe, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    session = watching.pay(check_out(user).id)

    def refund_and_tell() -> None:
        watching.refund(charge_of(watching, session))
        assert watching.deliver(watching.event("charge.refunded")) == [200]
        out.enter_context(watching.outage("/v1/charges"))

    watching.meanwhile = [refund_and_tell]
    with ExitStack() as out:
        assert watching.deliver(watching.event("checkout.session.completed")) == [200]
    assert "on_commit" in caplog.text
    assert user.credits == 1_000
    # Any notice of the refund completes it, and so does sync_credits.
    assert watching.deliver(watching.event("refund.created")) == [200]
    assert user.credits == 0

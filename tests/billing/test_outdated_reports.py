from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.app.models import User
from tests.billing.subscribing import awards_of, fulfillment_of, stripe_at, subscribe
from usage_credits.ledger.verification import verify
from usage_credits.testing import FakeStripe, receive_webhooks, use_fake_stripe


class SlowStripe(FakeStripe):
    """A Stripe on whose way back with a subscription something else happens."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: list[Callable[[], object]] = []

    def handle(self, method: str, path: str, query: str, headers: Mapping[str, str]) -> Any:
        answer = super().handle(method, path, query, headers)
        if path.startswith("/v1/subscriptions/") and "latest_invoice" in query and self.meanwhile:
            self.meanwhile.pop()()
        return answer


@pytest.fixture
def slow(db: None) -> Iterator[SlowStripe]:
    fake = SlowStripe()
    with use_fake_stripe(fake), stripe_at(fake):
        receive_webhooks()
        yield fake
        assert list(verify()) == []


def test_older_answer_does_not_undo_a_cancellation(slow: SlowStripe, user: User) -> None:
    subscription = subscribe(slow, user)
    slow.deliver_pending()
    slow.change_plan(subscription, "price_prem")
    changed = slow.event("customer.subscription.updated")

    def cancel_and_tell() -> None:
        slow.cancel(subscription, at_period_end=True)
        assert slow.deliver(slow.event("customer.subscription.updated")) == [200]

    slow.meanwhile = [cancel_and_tell]
    assert slow.deliver(changed) == [200]

    fulfillment = fulfillment_of(subscription)
    assert (fulfillment.plan_name, fulfillment.stop_reason) == ("prem", "canceled")
    assert awards_of(subscription) == [
        ("subscription_signup_bonus", 100),
        ("subscription_credits", 500),
        ("subscription_upgrade", 2_000),
    ]


def test_first_answer_that_is_overtaken_awards_once(slow: SlowStripe, user: User) -> None:
    subscription = subscribe(slow, user)
    paid = slow.event("invoice.paid")
    slow.meanwhile = [lambda: slow.deliver(slow.reissue(paid))]
    assert slow.deliver(paid) == [200]
    assert awards_of(subscription) == [("subscription_signup_bonus", 100), ("subscription_credits", 500)]
    assert fulfillment_of(subscription).revision == 2


def test_answers_that_are_always_overtaken_leave_the_notice_to_its_redelivery(
    slow: SlowStripe, user: User
) -> None:
    subscription = subscribe(slow, user)
    paid = slow.event("invoice.paid")
    assert slow.deliver(paid) == [200]

    def tell_again() -> None:
        before, slow.meanwhile = slow.meanwhile, []
        slow.deliver(slow.reissue(paid))
        slow.meanwhile = before

    again = slow.reissue(paid)
    slow.meanwhile = [tell_again] * 20
    assert slow.deliver(again) == [500]
    slow.meanwhile = []
    assert slow.deliver(again) == [200]
    assert awards_of(subscription) == [("subscription_signup_bonus", 100), ("subscription_credits", 500)]

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from tests.app.models import User
from tests.billing.shopping import check_out
from usage_credits.ledger.verification import verify
from usage_credits.models import Fulfillment, Transaction
from usage_credits.testing import FakeStripe


@pytest.mark.behaviour("DEC-12", "PFL-10")
def test_award_once_in_every_order_of_events_told_twice(fake: FakeStripe, user: User) -> None:
    orders = set(itertools.permutations("001122"))
    assert len(orders) == 90
    for number, order in enumerate(orders, start=1):
        session = fake.pay(check_out(user, "hundred").id)
        told = fake.events_for(session)
        assert len(told) == 3
        for event in _twice(fake, told, order):
            assert fake.deliver(event) == [200]
        assert (Fulfillment.objects.count(), Transaction.objects.count()) == (number, number), order
    assert user.credits == 9_000
    assert list(verify()) == []


@pytest.mark.behaviour("DEC-12", "PFL-05")
def test_award_delayed_payment_once_in_every_order_of_events_told_twice(fake: FakeStripe, user: User) -> None:
    for number, order in enumerate(itertools.permutations("0123"), start=1):
        session = fake.settle(fake.pay(check_out(user, "hundred").id, delayed=True))
        told = fake.events_for(session)
        assert len(told) == 4
        for event in _twice(fake, told, order + order[::-1]):
            assert fake.deliver(event) == [200]
        assert (Fulfillment.objects.count(), Transaction.objects.count()) == (number, number), order


def _twice(fake: FakeStripe, told: list[dict[str, Any]], order: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Yield the events in this order, each a second time as another event about the same."""
    seen: set[str] = set()
    for position in order:
        event = told[int(position)]
        yield fake.reissue(event) if position in seen else event
        seen.add(position)

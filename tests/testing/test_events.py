from __future__ import annotations

import pytest
from django.db import transaction

from tests.app.models import User
from usage_credits import signals
from usage_credits.testing import CapturedEvents, capture_events


@pytest.mark.django_db
def test_capture_events_in_order_inside_a_transaction_that_never_commits() -> None:
    wallet = User.objects.create(username="ada").wallet()
    with capture_events() as events:
        wallet.credit(100)
        wallet.debit(100)
        assert events == []
    assert [event.event for event in events] == ["credits_added", "credits_deducted", "balance_depleted"]
    assert [event.amount for event in events[:2]] == [100, 100]


@pytest.mark.django_db(transaction=True)
def test_capture_events_at_each_commit() -> None:
    wallet = User.objects.create(username="ada").wallet()
    with capture_events() as events:
        wallet.credit(100)
        assert [event.event for event in events] == ["credits_added"]
        with transaction.atomic():
            wallet.credit(1)
            assert len(events) == 1
        assert len(events) == 2
    assert len(events) == 2


@pytest.mark.django_db
def test_capture_nothing_that_was_rolled_back() -> None:
    wallet = User.objects.create(username="ada").wallet()
    with capture_events() as events, transaction.atomic():
        wallet.credit(100)
        transaction.set_rollback(True)
    assert events == []


@pytest.mark.django_db
def test_stop_capturing_when_the_block_ends() -> None:
    before = {name: len(signal.receivers) for name, signal in signals.ALL.items()}
    with pytest.raises(RuntimeError), capture_events():
        raise RuntimeError
    assert {name: len(signal.receivers) for name, signal in signals.ALL.items()} == before


def test_captured_events_are_there_when_read(credit_events: CapturedEvents) -> None:
    wallet = User.objects.create(username="ada").wallet()
    assert not credit_events
    wallet.credit(100)
    assert credit_events[0].amount == 100
    assert [event.new_balance for event in credit_events[-1:]] == [100]
    wallet.debit(100)
    assert credit_events.names == ["credits_added", "credits_deducted", "balance_depleted"]
    assert repr(credit_events) == "<events: credits_added, credits_deducted, balance_depleted>"
    credit_events.clear()
    wallet.credit(1)
    assert [event.event for event in credit_events] == ["credits_added"]


@pytest.mark.django_db(transaction=True)
def test_captured_events_come_with_each_commit(credit_events: CapturedEvents) -> None:
    wallet = User.objects.create(username="ada").wallet()
    with transaction.atomic():
        wallet.credit(100)
    assert credit_events.names == ["credits_added"]
    assert credit_events.names == ["credits_added"]


def test_captured_events_leave_no_receiver_behind(db: None) -> None:
    before = {name: len(signal.receivers) for name, signal in signals.ALL.items()}
    events = CapturedEvents()
    assert events.names == []
    events.close()
    assert {name: len(signal.receivers) for name, signal in signals.ALL.items()} == before

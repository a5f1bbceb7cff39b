from __future__ import annotations

import pytest
from django.db import transaction

from tests.app.models import User
from usage_credits import signals
from usage_credits.testing import capture_events


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

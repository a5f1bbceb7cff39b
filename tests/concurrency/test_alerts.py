from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.concurrency.processes import run_in_threads
from tests.factories import configured, make_wallet
from usage_credits import InsufficientCredits
from usage_credits.models import Transaction, Wallet
from usage_credits.signals import EventContext, balance_recovered, low_balance_reached

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

THRESHOLDS = (0, 20, 50)


@pytest.fixture
def told() -> Iterator[list[tuple[str, int | None]]]:
    """What was told, by event and threshold, whichever thread it was told in."""
    found: list[tuple[str, int | None]] = []

    def note(context: EventContext, **kwargs: Any) -> None:
        found.append((context.event, context.threshold))

    for signal in (low_balance_reached, balance_recovered):
        signal.connect(note)
    yield found
    for signal in (low_balance_reached, balance_recovered):
        signal.disconnect(note)


@pytest.mark.behaviour("EVT-29")
def test_debits_at_once_reach_each_threshold_once(told: list[tuple[str, int | None]]) -> None:
    wallet = make_wallet(100)
    with configured(LOW_BALANCE_THRESHOLDS=THRESHOLDS):
        outcomes = run_in_threads(8, lambda _number: [debit(wallet.pk, 2) for _ in range(10)])
    assert sum(map(sum, outcomes)) == 100
    assert sorted(told) == [("low_balance_reached", threshold) for threshold in THRESHOLDS]


@pytest.mark.behaviour("EVT-29", "EVT-13")
def test_debits_and_credits_at_once_are_told_of_as_often_as_they_cross(
    told: list[tuple[str, int | None]],
) -> None:
    wallet = make_wallet(60)

    def move(number: int) -> None:
        chance = random.Random(number)
        for _ in range(15):
            if chance.random() < 0.5:
                Wallet.objects.get(pk=wallet.pk).credit(chance.randint(1, 30))
            else:
                debit(wallet.pk, chance.randint(1, 30))

    with configured(LOW_BALANCE_THRESHOLDS=THRESHOLDS):
        assert run_in_threads(6, move) == [None] * 6
    expected: Counter[tuple[str, int | None]] = Counter()
    for row in Transaction.objects.filter(wallet=wallet).order_by("pk")[1:]:
        for threshold in THRESHOLDS:
            if row.balance_after <= threshold < row.balance_before:
                expected["low_balance_reached", threshold] += 1
            if row.balance_before <= threshold < row.balance_after:
                expected["balance_recovered", threshold] += 1
    assert Counter(told) == expected
    assert expected


def debit(wallet_id: int, amount: int) -> int:
    """Debit, and return what was taken."""
    try:
        Wallet.objects.get(pk=wallet_id).debit(amount)
    except InsufficientCredits:
        return 0
    return amount

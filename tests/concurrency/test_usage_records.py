from __future__ import annotations

from itertools import chain

import pytest

from tests.concurrency.processes import run_together
from tests.factories import make_user
from usage_credits.ledger.verification import verify
from usage_credits.models import Transaction

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

WORK = "tests.concurrency.work"


def test_processes_that_record_one_message_charge_it_once() -> None:
    user = make_user(1_000)

    outcomes = run_together(f"{WORK}:record_one_message", [(user.pk, [40] * 5)] * 4)

    assert set(chain.from_iterable(outcomes)) == {"recorded"}
    assert Transaction.objects.operation_charges().get().amount == -40
    assert user.credits == 960
    assert list(verify()) == []


def test_processes_that_correct_one_message_leave_it_at_one_of_its_prices() -> None:
    user = make_user(100)

    outcomes = run_together(
        f"{WORK}:record_one_message",
        [(user.pk, [40, 150, 25]), (user.pk, [15, 60, 25]), (user.pk, [130, 25])],
    )

    assert set(chain.from_iterable(outcomes)) == {"recorded"}
    assert user.wallet().balance == 75
    assert list(verify()) == []

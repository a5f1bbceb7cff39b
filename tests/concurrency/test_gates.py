from __future__ import annotations

import os
from collections import Counter

import pytest
from django.db import connection

from tests.concurrency.processes import run_together
from tests.factories import amounts_of, make_user
from usage_credits.ledger.verification import verify

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

WORK = "tests.concurrency.work"
PROCESSES, THREADS = 4, 5


def requests_to_send() -> int:
    """Return how many: a machine that checks takes its time with the reference database."""
    is_thorough = os.environ.get("CI") == "true" and connection.vendor == "postgresql"
    return 2_000 if is_thorough or os.environ.get("HYPOTHESIS_PROFILE") == "ci" else 400


@pytest.mark.behaviour("TOK-02", "TOK-14")
def test_as_many_requests_run_as_the_wallet_can_pay_for() -> None:
    user, requests = make_user(100 * 25 + 24), requests_to_send()
    times = requests // (PROCESSES * THREADS)

    outcomes = run_together(f"{WORK}:visit_together", [(user.pk, THREADS, times)] * PROCESSES)

    done: Counter[str] = sum((Counter(outcome) for outcome in outcomes), Counter())
    assert done == {"ran": 100, "200": 100, "402": requests - 100}
    assert amounts_of(user.wallet()) == [2_524] + [-25] * 100
    assert (user.credits, user.wallet().held) == (24, 0)
    assert list(verify()) == []

from __future__ import annotations

import os
from collections import Counter

import pytest

from tests.concurrency.processes import run_together
from tests.factories import amounts_of, make_user
from usage_credits.ledger.verification import verify

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

WORK = "tests.concurrency.work"
PROCESSES, THREADS = 4, 5
REQUESTS = 2_000 if os.environ.get("HYPOTHESIS_PROFILE") == "ci" else 400


@pytest.mark.behaviour("TOK-02", "TOK-14")
def test_as_many_requests_run_as_the_wallet_can_pay_for() -> None:
    user = make_user(100 * 25 + 24)

    outcomes = run_together(
        f"{WORK}:visit_together", [(user.pk, THREADS, REQUESTS // (PROCESSES * THREADS))] * PROCESSES
    )

    done: Counter[str] = sum((Counter(outcome) for outcome in outcomes), Counter())
    assert done == {"ran": 100, "200": 100, "402": REQUESTS - 100}
    assert amounts_of(user.wallet()) == [2_524] + [-25] * 100
    assert (user.credits, user.wallet().held) == (24, 0)
    assert list(verify()) == []

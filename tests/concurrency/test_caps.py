from __future__ import annotations

from collections import Counter
from itertools import chain

import pytest

from tests.concurrency.processes import run_together
from tests.factories import make_wallet
from usage_credits import key_spend
from usage_credits.ledger.verification import verify
from usage_credits.models import SpendingCap

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

WORK = "tests.concurrency.work"
# One window for as long as the test runs, midnight or not.
EVER = "P1000Y"


def test_processes_with_one_key_spend_exactly_its_limit() -> None:
    wallet = make_wallet(10_000)
    wallet.set_cap("key", 100, every=EVER)
    wallet.set_cap("other", 35, every=EVER)

    keys = ["key"] * 4 + ["other"]
    outcomes = run_together(f"{WORK}:debit_under_a_cap", [(wallet.pk, key, 15, 5) for key in keys])

    assert Counter(chain.from_iterable(outcomes)) == {"paid": 20 + 7, "refused": 75 - 27}
    assert [(cap.attributed_to, cap.spent) for cap in wallet.caps()] == [("key", 100), ("other", 35)]
    assert key_spend("key", wallet=wallet) == 100
    assert wallet.balance == 10_000 - 135
    assert list(verify()) == []


def test_holds_and_debits_of_processes_with_one_key_stay_within_its_limit() -> None:
    wallet = make_wallet(10_000)
    wallet.set_cap("key", 100, every=EVER)

    outcomes = run_together(f"{WORK}:spend_under_a_cap", [(wallet.pk, "key", 15, 7)] * 4)

    counted = Counter(chain.from_iterable(outcomes))
    assert set(counted) == {"paid", "refused"}
    # What others held for a moment may have kept the last ones out.
    assert 7 * counted["paid"] == key_spend("key", wallet=wallet) <= 98
    (cap,) = wallet.caps("key")
    assert (cap.spent, cap.held) == (7 * counted["paid"], 0)
    assert list(verify()) == []


def test_processes_that_set_one_cap_make_one_that_counts_what_was_spent() -> None:
    wallet = make_wallet(10_000)
    wallet.debit(30, attributed_to="key")

    pks = run_together(f"{WORK}:set_caps", [(wallet.pk, "key", 5)] * 3)

    assert [SpendingCap.objects.get().pk] * 15 == list(chain.from_iterable(pks))
    (cap,) = wallet.caps("key")
    assert (cap.limit, cap.spent) == (100, 30)
    assert list(verify()) == []

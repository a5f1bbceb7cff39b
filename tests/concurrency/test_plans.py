from __future__ import annotations

import pytest

from tests.app.models import User
from tests.concurrency.processes import run_together
from usage_credits.ledger.verification import verify
from usage_credits.models import Fulfillment, Transaction

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

START = "tests.concurrency.plan_work:start_plans"
STOP = "tests.concurrency.plan_work:stop_and_start_plans"

OWNERS = 10


def test_award_once_when_processes_start_the_same_plans() -> None:
    # Without wallets, so that the processes race for these as well.
    users = User.objects.bulk_create([User(username=str(number)) for number in range(OWNERS)])
    pks = [user.pk for user in users]
    answers = run_together(START, [(pks,)] * 4)
    assert answers == [answers[0]] * 4
    assert len(set(answers[0])) == OWNERS == Fulfillment.objects.count()
    amounts = Transaction.objects.order_by("wallet", "pk").values_list("amount", flat=True)
    assert list(amounts) == [100, 500] * OWNERS
    assert list(verify()) == []


def test_run_a_plan_once_however_often_processes_stop_and_start_it() -> None:
    user = User.objects.create(username="ada")
    answers = run_together(STOP, [(user.pk, 10)] * 3)
    assert answers == ["done"] * 3
    assert Fulfillment.objects.active().count() == 1
    assert Transaction.objects.filter(amount=500).count() == Fulfillment.objects.count()
    assert list(verify()) == []

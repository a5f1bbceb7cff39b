from __future__ import annotations

from collections.abc import Mapping

import pytest
import stripe

from tests.app.models import User
from tests.billing.shopping import check_out, check_out_plan
from tests.concurrency.processes import run_together
from usage_credits.ledger.verification import verify
from usage_credits.models import Fulfillment, PaymentNotice, Transaction
from usage_credits.testing import FakeStripeServer, receive_webhooks

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

WORK = "tests.concurrency.delivery:work"


def test_award_once_when_buyers_come_back_as_the_webhooks_arrive(monkeypatch: pytest.MonkeyPatch) -> None:
    user = User.objects.create(username="ada", email="ada@example.com")
    deliveries: list[tuple[str, bytes, Mapping[str, str]]] = []

    def keep(url: str, body: bytes, headers: Mapping[str, str]) -> int:
        deliveries.append((url, body, headers))
        return 200

    with FakeStripeServer(send=keep) as server:
        fake = server.fake
        monkeypatch.setattr(stripe, "api_base", server.url)
        receive_webhooks()
        fake.add_price("price_pro", amount=2_900)
        packs = [fake.pay(check_out(user, "hundred").id) for _number in range(4)]
        plans = [fake.pay(check_out_plan(user).id) for _number in range(2)]
        bought = [session["id"] for pair in zip(packs, [*plans, *plans], strict=True) for session in pair]
        fake.deliver_pending()
        returns = ("tests.concurrency.delivery:come_back", server.url, user.pk, bought)
        webhooks = ("tests.concurrency.delivery:receive", server.url, deliveries)
        answers = run_together(WORK, [returns, webhooks, returns, webhooks])
    assert answers == [[200] * len(bought), [200] * len(deliveries)] * 2
    assert Fulfillment.objects.count() == 6
    assert sorted(row.amount for row in Transaction.objects.all()) == [100] * 6 + [500] * 2
    assert user.credits == 4 * 100 + 2 * 600
    assert not PaymentNotice.objects.exists()
    assert list(verify()) == []

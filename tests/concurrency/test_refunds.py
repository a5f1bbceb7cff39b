from __future__ import annotations

import pytest
import stripe

from tests.app.models import User
from tests.billing.shopping import check_out
from tests.concurrency.processes import run_together
from tests.concurrency.test_purchases import RECEIVE, Post
from usage_credits.ledger.verification import verify
from usage_credits.models import Transaction
from usage_credits.testing import FakeStripeServer, receive_webhooks

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

PURCHASES = 6


@pytest.mark.behaviour("RFD-15", "DEC-12")
@pytest.mark.parametrize("is_awarded", [True, False])
def test_take_back_once_when_processes_are_told_of_the_same_refunds(
    monkeypatch: pytest.MonkeyPatch, is_awarded: bool
) -> None:
    user = User.objects.create(username="ada", email="ada@example.com")
    post = Post()
    with FakeStripeServer(send=post) as server:
        fake = server.fake
        monkeypatch.setattr(stripe, "api_base", server.url)
        receive_webhooks()
        grants: list[int] = []
        for _number in range(PURCHASES):
            fake.pay(check_out(user, "hundred").id)
            if is_awarded:
                fake.deliver(fake.event("checkout.session.completed"))
                grants += run_together(RECEIVE, [(server.url, post.kept)])[0]
                post.kept.clear()
        for intent in fake.all("payment_intent"):
            first = fake.refund(intent["latest_charge"], 330)
            fake.refund(intent["latest_charge"], 250)
            fake.fail_refund(first)
        for intent in fake.all("payment_intent"):
            about = {intent["id"], intent["latest_charge"]}
            for event in fake.events:
                told = event["data"]["object"]
                if event["type"] in ("charge.refunded", "refund.failed") and about & {
                    told["id"],
                    told.get("payment_intent"),
                }:
                    fake.deliver(event)
        shares = [post.kept[position::3] for position in (0, 1, 2)]
        answers = run_together(RECEIVE, [(server.url, share) for share in shares])
    assert set(grants) <= {200}
    assert answers == [[200] * PURCHASES] * 3
    rows = Transaction.objects.filter(category="credit_pack_refund")
    assert [row.amount for row in rows] == [-25] * PURCHASES
    assert user.credits == 75 * PURCHASES
    assert list(verify()) == []

from __future__ import annotations

import logging

import pytest
from django.core.management import call_command

from tests.app.models import User
from tests.billing.shopping import announce, pack_metadata, pay_directly
from usage_credits.models import Fulfillment, PaymentNotice, Transaction
from usage_credits.testing import FakeStripe, capture_events


@pytest.mark.behaviour("PFL-06")
def test_keep_payment_without_owner_as_notice(fake: FakeStripe, user: User) -> None:
    intent = pay_directly({**pack_metadata(user), "usage_credits_owner": ""})
    assert announce(fake, intent) == [200, 200]
    notice = PaymentNotice.objects.get()
    assert (notice.source_id, notice.reason, notice.resolved_at) == (f"pi:{intent.id}", "no_owner", None)
    assert not Transaction.objects.exists()


@pytest.mark.behaviour("PFL-07")
def test_keep_payment_for_unknown_pack_as_notice(
    fake: FakeStripe, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    with capture_events() as events, caplog.at_level(logging.ERROR, "usage_credits"):
        intent = pay_directly(pack_metadata(user, pack_name="gone"))
        assert announce(fake, intent) == [200, 200]
    assert len(caplog.records) == 1
    assert intent.id in caplog.text
    assert "gone" in caplog.text
    assert not Transaction.objects.exists()
    notice = PaymentNotice.objects.get()
    assert (notice.reason, notice.attempts) == ("unknown_pack", 2)
    assert [(event.event, event.reason, event.owner) for event in events] == [
        ("fulfillment_failed", "unknown_pack", user)
    ]


@pytest.mark.behaviour("PFL-08", "PAC-17")
@pytest.mark.parametrize(
    "changes",
    [
        {"credits": "999"},
        {"credits": "abc"},
        {"bonus_credits": "1"},
        {"price_cents": "4800"},
        {"price_currency": "EUR"},
    ],
)
def test_keep_payment_that_differs_from_definition_as_notice(
    fake: FakeStripe, user: User, changes: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with capture_events() as events, caplog.at_level(logging.ERROR, "usage_credits"):
        intent = pay_directly(pack_metadata(user, **changes))
        assert announce(fake, intent) == [200, 200]
    assert not Transaction.objects.exists()
    notice = PaymentNotice.objects.get()
    assert notice.reason == "mismatch"
    assert next(iter(changes)) in notice.detail
    assert notice.payload["metadata"] == intent.metadata.to_dict()
    assert len(caplog.records) == 1
    assert [(event.event, event.reason) for event in events] == [("fulfillment_failed", "mismatch")]


@pytest.mark.behaviour("DEC-24")
def test_keep_payment_in_another_currency_as_notice(fake: FakeStripe, user: User) -> None:
    intent = pay_directly(pack_metadata(user), currency="jpy")
    announce(fake, intent)
    assert PaymentNotice.objects.get().detail == "paid in jpy, priced in usd"
    assert user.credits == 0


def test_keep_payment_that_the_ledger_refuses_as_notice(fake: FakeStripe, user: User) -> None:
    wallet = user.wallet()
    wallet.credit(2**63 - 1)
    intent = pay_directly(pack_metadata(user))
    assert announce(fake, intent) == [200, 200]
    notice = PaymentNotice.objects.get()
    assert notice.reason == "refused"
    assert "2**63 - 1" in notice.detail
    assert not Fulfillment.objects.exists()

    wallet.debit(5_000)
    call_command("sync_credits", verbosity=0)
    notice.refresh_from_db()
    assert notice.resolved_at is not None
    assert wallet.balance == 2**63 - 1 - 4_000

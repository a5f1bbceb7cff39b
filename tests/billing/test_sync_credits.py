from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from djstripe.models import Customer

from tests.app.models import User
from tests.billing.shopping import announce, check_out, pack_metadata, pay_directly
from usage_credits import CreditPack, cents
from usage_credits.models import Fulfillment, PaymentNotice, Transaction
from usage_credits.testing import FakeStripe, capture_events


def sync(*arguments: str) -> str:
    out = io.StringIO()
    call_command("sync_credits", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def pay_for_unknown_pack(fake: FakeStripe, user: User, **options: Any) -> PaymentNotice:
    metadata = {**pack_metadata(user), "pack_name": "later", "credits": "10", "price_cents": "4900"}
    intent = pay_directly(metadata, **options)
    announce(fake, intent)
    return PaymentNotice.objects.get(source_id=f"pi:{intent.id}")


def sell_later(settings: Any, gives: int = 10) -> None:
    settings.USAGE_CREDITS = {"CREDIT_PACKS": [CreditPack("later", gives=gives, costs=cents(4_900))]}


@pytest.mark.behaviour("PFL-08")
def test_award_payment_once_its_pack_is_as_sold_again(fake: FakeStripe, user: User, settings: Any) -> None:
    offered = settings.USAGE_CREDITS
    session = fake.pay(check_out(user).id)
    settings.USAGE_CREDITS = {"CREDIT_PACKS": [CreditPack("starter", gives=2_000, costs=cents(4_900))]}
    assert announce(fake, session) == [200, 200, 200]
    with pytest.raises(CommandError, match="1 of 1 payments still have no credits"):
        sync()
    assert PaymentNotice.objects.get().attempts == 4
    settings.USAGE_CREDITS = offered
    with capture_events() as events:
        assert "1 resolved, 0 still open" in sync()
    assert [event.event for event in events] == ["credits_added", "credit_pack_purchased"]
    notice = PaymentNotice.objects.get()
    assert notice.resolved_at is not None
    assert notice.fulfillment == Fulfillment.objects.get()
    assert user.credits == 1_000
    assert "0 resolved, 0 still open" in sync()
    assert announce(fake, session) == [200, 200, 200]
    assert user.credits == 1_000


@pytest.mark.behaviour("PFL-08", "PFL-17")
def test_award_changed_pack_when_told_to(fake: FakeStripe, user: User, settings: Any) -> None:
    session = fake.pay(check_out(user).id)
    settings.USAGE_CREDITS = {"CREDIT_PACKS": [CreditPack("starter", gives=2_000, costs=cents(5_900))]}
    announce(fake, session)
    sync("--accept-changed")
    row = Transaction.objects.get()
    assert (row.amount, row.cash_amount) == (2_000, 4_900)


@pytest.mark.behaviour("PFL-07")
def test_resolve_notice_by_a_later_event(fake: FakeStripe, user: User, settings: Any) -> None:
    notice = pay_for_unknown_pack(fake, user)
    sell_later(settings)
    fake.deliver(fake.reissue(fake.event("payment_intent.succeeded")))
    notice.refresh_from_db()
    assert notice.resolved_at is not None
    assert user.credits == 10


def test_award_payment_whose_owner_is_known_by_now(fake: FakeStripe, user: User) -> None:
    metadata = {**pack_metadata(user), "usage_credits_owner": ""}
    customer, _created = Customer.get_or_create(user)
    Customer.objects.update(subscriber=None)
    fake.get("customer", customer.id)["metadata"] = {}
    announce(fake, pay_directly(metadata, customer=customer.id))
    assert PaymentNotice.objects.get().reason == "no_owner"
    Customer.objects.update(subscriber=user)
    sync()
    assert user.credits == 1_000


def test_award_free_purchase_from_its_session(fake: FakeStripe, user: User, settings: Any) -> None:
    offered = settings.USAGE_CREDITS
    session = fake.pay(check_out(user, discounts=[{"coupon": fake.add_coupon(100)["id"]}]).id)
    settings.USAGE_CREDITS = {}
    announce(fake, session)
    settings.USAGE_CREDITS = offered
    sync()
    assert user.credits == 1_000


def test_list_notices_without_trying_them(fake: FakeStripe, user: User, settings: Any) -> None:
    notice = pay_for_unknown_pack(fake, user)
    sell_later(settings)
    fake.requests.clear()
    out = sync("--dry-run")
    assert notice.source_id in out
    assert "1 to try" in out
    assert fake.requests == []
    assert user.credits == 0


def test_try_oldest_first_up_to_the_limit(fake: FakeStripe, user: User, settings: Any) -> None:
    first, second = pay_for_unknown_pack(fake, user), pay_for_unknown_pack(fake, user)
    sell_later(settings)
    assert "1 resolved, 0 still open" in sync("--limit", "1")
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.resolved_at is None, second.resolved_at is None) == (False, True)


def test_try_payments_of_one_customer(fake: FakeStripe, user: User, settings: Any) -> None:
    customer, _created = Customer.get_or_create(user)
    pay_for_unknown_pack(fake, user)
    of_customer = pay_for_unknown_pack(fake, user, customer=customer.id)
    sell_later(settings)
    assert sync("--customer", customer.id).startswith(f"resolved {of_customer.source_id}\n1 resolved")


def test_go_on_after_a_payment_that_stays_open(fake: FakeStripe, user: User, settings: Any) -> None:
    lost = pay_for_unknown_pack(fake, user)
    pay_for_unknown_pack(fake, user)
    sell_later(settings)
    fake.remove("payment_intent", lost.source_id.removeprefix("pi:"))
    with pytest.raises(CommandError, match="1 of 2"):
        sync()
    assert user.credits == 10


def test_report_that_stripe_is_out(fake: FakeStripe, user: User) -> None:
    pay_for_unknown_pack(fake, user)
    with fake.outage(), pytest.raises(CommandError, match="1 of 1"):
        sync()
    assert PaymentNotice.objects.get().resolved_at is None


def test_close_notice_of_payment_that_was_given_back(fake: FakeStripe, user: User, settings: Any) -> None:
    notice = pay_for_unknown_pack(fake, user)
    intent = fake.get("payment_intent", notice.source_id.removeprefix("pi:"))
    fake.refund(intent["latest_charge"])
    sell_later(settings)
    sync()
    notice.refresh_from_db()
    assert notice.resolved_at is not None
    assert notice.fulfillment is None
    assert user.credits == 0


def test_resolve_notice_left_beside_an_award(fake: FakeStripe, user: User, settings: Any) -> None:
    notice = pay_for_unknown_pack(fake, user)
    sell_later(settings)
    sync()
    PaymentNotice.objects.update(resolved_at=None, fulfillment=None)
    sync()
    notice.refresh_from_db()
    assert notice.fulfillment == Fulfillment.objects.get()
    assert user.credits == 10


@pytest.mark.parametrize("limit", ["0", "-1"])
def test_refuse_limit_below_one(limit: str, db: None) -> None:
    with pytest.raises(CommandError, match="allowed is 1 or more"):
        sync("--limit", limit)


def test_open_notice_again_when_the_refund_failed(fake: FakeStripe, user: User, settings: Any) -> None:
    notice = pay_for_unknown_pack(fake, user)
    intent = fake.get("payment_intent", notice.source_id.removeprefix("pi:"))
    fake.refund(intent["latest_charge"])
    sync()
    fake.get("charge", intent["latest_charge"])["amount_refunded"] = 0
    announce(fake, fake.reissue(fake.event("payment_intent.succeeded"))["data"]["object"])
    notice.refresh_from_db()
    assert notice.resolved_at is None
    sell_later(settings)
    sync()
    assert user.credits == 10

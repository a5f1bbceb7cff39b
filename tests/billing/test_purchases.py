from __future__ import annotations

import datetime
from typing import Any

import pytest
import time_machine
from django.test import Client, override_settings
from django.urls import reverse
from django.utils import timezone

from tests.app.models import Studio, Team, User
from tests.billing.shopping import announce, buy, check_out, pack_metadata, pay_directly
from tests.factories import configured
from usage_credits import CreditPack, cents
from usage_credits.ledger.verification import verify
from usage_credits.models import Fulfillment, PaymentNotice, Transaction, Wallet
from usage_credits.testing import FakeStripe, capture_events

NOON = datetime.datetime(2030, 1, 31, 12, tzinfo=datetime.UTC)


@pytest.mark.behaviour("PFL-01")
def test_award_pack_that_was_paid(fake: FakeStripe, user: User) -> None:
    with time_machine.travel(NOON, tick=False):
        session = buy(fake, user)
    row = Transaction.objects.get()
    assert (row.amount, row.category, row.expires_at) == (1_000, "credit_pack_purchase", None)
    fulfillment = Fulfillment.objects.get()
    assert (fulfillment.kind, fulfillment.pack_name) == ("credit_pack", "starter")
    assert (fulfillment.source, fulfillment.source_id) == ("stripe", f"pi:{session['payment_intent']}")
    assert (fulfillment.credits_last_awarded, fulfillment.last_fulfilled_at) == (1_000, NOON)
    assert (fulfillment.next_fulfillment_at, fulfillment.period) == (None, "")
    assert user.credits == 1_000
    assert not PaymentNotice.objects.exists()


@pytest.mark.behaviour("PFL-02")
def test_award_pack_with_its_bonus_in_one_row(fake: FakeStripe, user: User) -> None:
    buy(fake, user, "bonus")
    assert [row.amount for row in Transaction.objects.all()] == [600]


def test_award_pack_for_some_operations_only(fake: FakeStripe, user: User) -> None:
    pack = CreditPack("mails", gives=100, costs=cents(1_000), priority=-1, scope=["mail"])
    with configured(CREDIT_PACKS=[pack]):
        buy(fake, user, "mails")
    lot = Transaction.objects.get().lot
    assert (lot.priority, lot.scope) == (-1, ("mail",))
    assert (user.credits_for("mail"), user.credits_for("report")) == (100, 0)


@pytest.mark.behaviour("PFL-03")
def test_record_payment_on_row_and_fulfillment(fake: FakeStripe, user: User) -> None:
    with time_machine.travel(NOON, tick=False):
        session = buy(fake, user, "bonus")
    row = Transaction.objects.get()
    intent = fake.get("payment_intent", session["payment_intent"])
    assert row.metadata == {
        "purchase_type": "credit_pack",
        "pack_name": "bonus",
        "credits": "500",
        "bonus_credits": "100",
        "price_cents": "2900",
        "price_currency": "USD",
        "charge_id": intent["latest_charge"],
        "payment_intent_id": intent["id"],
        "customer_id": session["customer"],
        "account_id": fake.account["id"],
        "purchased_at": NOON.isoformat(),
        "credits_fulfilled": True,
        "fulfilled_at": NOON.isoformat(),
    }
    assert row.fulfillment is not None
    assert row.fulfillment.metadata == row.metadata
    assert (row.cash_amount, row.cash_currency) == (2_900, "usd")
    assert row.idempotency_key == f"pi:{intent['id']}"


def test_date_row_by_when_it_was_awarded(fake: FakeStripe, user: User) -> None:
    with time_machine.travel(NOON, tick=False):
        session = fake.pay(check_out(user).id)
    with time_machine.travel(NOON + datetime.timedelta(days=3), tick=False):
        announce(fake, session)
        assert Transaction.objects.get().created_at == timezone.now()
    assert Transaction.objects.get().metadata["purchased_at"] == NOON.isoformat()


@pytest.mark.behaviour("PFL-15", "EVT-07")
def test_announce_purchase_once_after_commit(fake: FakeStripe, user: User) -> None:
    with capture_events() as events:
        session = buy(fake, user, "bonus")
        assert events == []
    assert [event.event for event in events] == ["credits_added", "credit_pack_purchased"]
    purchased = events[-1]
    row = Transaction.objects.get()
    assert (purchased.owner, purchased.amount, purchased.transaction) == (user, 600, row)
    assert purchased.fulfillment == row.fulfillment
    assert purchased.metadata is not None
    pack = purchased.metadata["pack"]
    assert isinstance(pack, CreditPack)
    assert (purchased.metadata["pack_name"], pack.name, purchased.metadata["price_cents"]) == (
        "bonus",
        "bonus",
        2_900,
    )
    assert purchased.metadata["charge"]["payment_intent"] == session["payment_intent"]


@pytest.mark.behaviour("PFL-04")
def test_award_nothing_for_payment_that_fails(fake: FakeStripe, user: User) -> None:
    session = fake.pay(check_out(user).id, delayed=True)
    fake.fail(session)
    assert set(fake.deliver_pending()) == {200}
    assert "checkout.session.async_payment_failed" in {event["type"] for event in fake.events}
    assert user.credits == 0
    assert not PaymentNotice.objects.exists()


@pytest.mark.behaviour("PFL-05")
def test_award_delayed_payment_once_it_arrives(fake: FakeStripe, user: User) -> None:
    session = fake.pay(check_out(user).id, delayed=True)
    fake.deliver_pending()
    assert user.credits == 0
    fake.settle(session)
    fake.deliver_pending()
    assert [row.amount for row in Transaction.objects.all()] == [1_000]


@pytest.mark.behaviour("PFL-06")
@pytest.mark.parametrize("changes", [{"purchase_type": "book"}, {"purchase_type": ""}, {"pack_name": ""}])
def test_ignore_payment_that_is_not_for_a_pack(fake: FakeStripe, user: User, changes: dict[str, str]) -> None:
    intent = pay_directly(pack_metadata(user, **changes))
    assert announce(fake, intent) == [200, 200]
    assert not Transaction.objects.exists()
    assert not PaymentNotice.objects.exists()


@pytest.mark.behaviour("PFL-06")
def test_ignore_payment_refunded_before_it_was_seen(fake: FakeStripe, user: User) -> None:
    intent = pay_directly(pack_metadata(user))
    fake.refund(intent.latest_charge, 4_900)
    assert announce(fake, intent) == [200, 200]
    assert not Transaction.objects.exists()
    assert not PaymentNotice.objects.exists()


@pytest.mark.behaviour("PFL-06", "PFL-10")
def test_award_nothing_more_when_charge_comes_again(fake: FakeStripe, user: User) -> None:
    session = buy(fake, user)
    for event in fake.events_for(session):
        assert fake.deliver(event, times=2) == [200, 200]
        assert fake.deliver(fake.reissue(event)) == [200]
    charge = fake.get("charge", fake.get("payment_intent", session["payment_intent"])["latest_charge"])
    charge["description"] = "edited"
    assert announce(fake, session) == [200] * 6
    assert [row.amount for row in Transaction.objects.all()] == [1_000]
    assert Fulfillment.objects.count() == 1


@pytest.mark.behaviour("PFL-09")
def test_accept_payment_that_names_only_the_pack(fake: FakeStripe, user: User) -> None:
    metadata = pack_metadata(user)
    for name in ("credits", "bonus_credits", "price_cents", "price_currency"):
        del metadata[name]
    announce(fake, pay_directly(metadata))
    assert user.credits == 1_000


@pytest.mark.behaviour("PFL-14")
def test_create_missing_wallet_for_purchase(fake: FakeStripe) -> None:
    studio = Studio.objects.create(name="Ada's")
    assert not studio.has_wallet()
    buy(fake, studio)
    assert studio.credits == 1_000


@pytest.mark.behaviour("PFL-17")
def test_award_what_the_definition_says(fake: FakeStripe, user: User, settings: Any) -> None:
    metadata = pack_metadata(user)
    del metadata["credits"]
    settings.USAGE_CREDITS = {"CREDIT_PACKS": [CreditPack("starter", gives=7, costs=cents(4_900))]}
    announce(fake, pay_directly(metadata))
    assert user.credits == 7


def test_award_pack_of_another_currency_by_its_minor_unit(
    fake: FakeStripe, user: User, settings: Any
) -> None:
    settings.USAGE_CREDITS = {"CREDIT_PACKS": [CreditPack("sakura", gives=10, costs=cents(1_000, "jpy"))]}
    buy(fake, user, "sakura")
    row = Transaction.objects.get()
    assert (row.cash_amount, row.cash_currency) == (1_000, "jpy")


@pytest.mark.behaviour("PAC-18")
def test_award_pack_paid_less_by_promotion(fake: FakeStripe, user: User) -> None:
    session = fake.pay(check_out(user, discounts=[{"coupon": coupon(fake, 30)}]).id)
    announce(fake, session)
    row = Transaction.objects.get()
    assert (row.amount, row.cash_amount) == (1_000, 3_430)


@pytest.mark.behaviour("PAC-18")
def test_award_pack_that_a_promotion_made_free(fake: FakeStripe, user: User) -> None:
    session = fake.pay(check_out(user, discounts=[{"coupon": coupon(fake, 100)}]).id)
    (event,) = fake.events_for(session)
    assert session["payment_intent"] is None
    assert fake.deliver(event, times=2) == [200, 200]
    assert fake.deliver(fake.reissue(event)) == [200]
    assert [row.amount for row in Transaction.objects.all()] == [1_000]
    assert Fulfillment.objects.get().source_id == f"cs:{session['id']}"


def test_award_payment_with_metadata_on_its_session_only(fake: FakeStripe, user: User) -> None:
    session = fake.pay(check_out(user).id)
    fake.get("payment_intent", session["payment_intent"])["metadata"] = {}
    announce(fake, session)
    assert [row.amount for row in Transaction.objects.all()] == [1_000]


def test_keep_wallets_of_owners_with_equal_keys_apart(fake: FakeStripe, user: User) -> None:
    studio = Studio.objects.create(pk=user.pk, name="Ada's")
    team = Team.objects.create(name="Ada's")
    buy(fake, studio, "hundred")
    buy(fake, team, "bonus")
    assert (studio.credits, team.credits, user.credits) == (100, 600, 0)
    assert Wallet.objects.count() == 3


def coupon(fake: FakeStripe, percent_off: int) -> str:
    return str(fake.add_coupon(percent_off)["id"])


def test_record_purchase_whose_credits_were_posted_before(fake: FakeStripe, user: User) -> None:
    session = fake.pay(check_out(user).id)
    key = f"pi:{session['payment_intent']}"
    user.wallet().credit(1_000, category="credit_pack_purchase", idempotency_key=key)
    with capture_events() as events:
        announce(fake, session)
    assert events == []
    assert Fulfillment.objects.get().source_id == key
    assert user.credits == 1_000


@pytest.mark.behaviour("CFG-16")
@pytest.mark.parametrize("packs", [[], [CreditPack("starter", gives=5, costs=cents(100))]])
def test_purchase_outlives_its_definition(
    fake: FakeStripe, user: User, admin_client: Client, packs: list[CreditPack]
) -> None:
    session = buy(fake, user)
    charge = user.spend_credits_on("report")
    assert charge
    with override_settings(USAGE_CREDITS={"CREDIT_PACKS": packs}):
        assert [row.description for row in user.credit_history] == [
            "Credit Pack Purchase",
            "Report (-25 credits)",
        ]
        fulfillment = Fulfillment.objects.get()
        assert fulfillment.as_sold["credits"] == "1000"
        for row in (fulfillment, charge):
            page = reverse(f"admin:usage_credits_{row._meta.model_name}_change", args=[row.pk])
            assert admin_client.get(page).status_code == 200
        for event in fake.events_for(session):
            assert fake.deliver(fake.reissue(event)) == [200]
        assert (user.credits, user.credit_subscriptions) == (975, [])
    assert not PaymentNotice.objects.exists()
    assert list(verify()) == []

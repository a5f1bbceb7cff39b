from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from django.db.models.signals import pre_save
from django.utils import timezone

from tests.app.models import Studio, User
from tests.billing.shopping import announce, buy, charge_of, give_back, pack_metadata, pay_directly
from tests.factories import configured, days, lot_of, names, payments_of, remaining_of
from usage_credits import CreditPack, cents
from usage_credits.ledger.verification import verify
from usage_credits.models import Debt, Fulfillment, PaymentNotice, Transaction
from usage_credits.testing import FakeStripe, capture_events


@pytest.fixture(autouse=True)
def _sound(db: None) -> Iterator[None]:
    yield
    assert list(verify()) == []


def refunds() -> list[int]:
    """Return the amounts of the refunds' rows, in the order in which they were posted."""
    return list(
        Transaction.objects.filter(category="credit_pack_refund")
        .order_by("pk")
        .values_list("amount", flat=True)
    )


@pytest.mark.behaviour("RFD-01")
def test_take_back_all_when_all_is_refunded(fake: FakeStripe, user: User) -> None:
    session = buy(fake, user)
    give_back(fake, session, 4_900)
    assert refunds() == [-1_000]
    assert user.credits == 0


@pytest.mark.behaviour("RFD-02", "RFD-04")
@pytest.mark.parametrize(
    ("pack", "amounts", "taken"),
    [
        ("starter", [2_450], [-500]),
        ("starter", [1_470], [-300]),
        ("bonus", [967], [-201]),
        ("bonus", [967, 967, 966], [-201, -200, -199]),
    ],
)
def test_take_back_the_refunded_share_rounded_up(
    fake: FakeStripe, user: User, pack: str, amounts: list[int], taken: list[int]
) -> None:
    give_back(fake, buy(fake, user, pack), *amounts)
    assert refunds() == taken


@pytest.mark.behaviour("RFD-03")
def test_take_back_the_difference_when_more_is_refunded(fake: FakeStripe, user: User) -> None:
    give_back(fake, buy(fake, user), 1_225, 1_225)
    assert refunds() == [-250, -250]
    assert user.credits == 500


@pytest.mark.behaviour("RFD-05")
def test_take_back_a_share_without_binary_fractions(fake: FakeStripe, user: User) -> None:
    give_back(fake, buy(fake, user, "hundred"), 70)
    assert refunds() == [-7]


@pytest.mark.behaviour("RFD-06")
def test_row_tells_of_its_refund(fake: FakeStripe, user: User) -> None:
    session = buy(fake, user)
    give_back(fake, session, 1_225, 1_225)
    first, second = Transaction.objects.filter(category="credit_pack_refund").order_by("pk")
    key = f"pi:{session['payment_intent']}"
    assert [row.idempotency_key for row in (first, second)] == [f"{key}:clawback:1", f"{key}:clawback:2"]
    assert {row.fulfillment for row in (first, second)} == {Fulfillment.objects.get()}
    told = dict(second.metadata)
    assert told.pop("refunded_at") == second.created_at.isoformat()
    assert told == {
        "purchase_type": "credit_pack",
        "pack_name": "starter",
        "credits": "1000",
        "bonus_credits": "0",
        "price_cents": "4900",
        "price_currency": "USD",
        "payment": key,
        "charge_id": charge_of(fake, session)["id"],
        "refunded": True,
        "charged_cents": 4_900,
        "refunded_cents": 2_450,
        "disputed_cents": 0,
        "ratio": "2450/4900",
        "incremental_credits": 250,
        "cumulative_credits": 500,
    }


@pytest.mark.behaviour("EVT-23", "EVT-25")
def test_announce_what_a_refund_took(fake: FakeStripe, user: User) -> None:
    session = buy(fake, user)
    with configured(LOW_BALANCE_THRESHOLD=600), capture_events() as events:
        give_back(fake, session, 1_225, 1_225, 2_450)
    assert names(events) == [
        "credits_deducted",
        "credits_refunded",
        "credits_deducted",
        "low_balance_reached",
        "credits_refunded",
        "credits_deducted",
        "balance_depleted",
        "credits_refunded",
    ]
    told = [event for event in events if event.event == "credits_refunded"]
    assert [event.amount for event in told] == [250, 250, 500]
    assert [event.metadata["cumulative_credits"] for event in told if event.metadata] == [250, 500, 1_000]
    last = told[-1]
    assert last.metadata is not None
    assert last.metadata["charge_id"] == charge_of(fake, session)["id"]
    assert last.transaction == Transaction.objects.order_by("pk").last()
    assert (last.owner, last.fulfillment) == (user, Fulfillment.objects.get())


@pytest.mark.behaviour("DEC-12", "DEC-16")
def test_take_back_nothing_more_when_told_again(fake: FakeStripe, user: User) -> None:
    session = buy(fake, user)
    give_back(fake, session, 2_450)
    for event in fake.announced[-2:]:
        assert fake.deliver(event, times=2) == [200, 200]
        assert fake.deliver(fake.reissue(event)) == [200]
    assert announce(fake, session) == [200] * 3
    assert refunds() == [-500]


@pytest.mark.behaviour("RFD-08")
def test_take_back_nothing_when_more_is_refunded_than_was_charged(
    fake: FakeStripe, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    session = buy(fake, user)
    charge = charge_of(fake, session)
    fake.refund(charge, 2_450)
    charge["amount_refunded"] = 4_901
    with caplog.at_level(logging.ERROR, "usage_credits"):
        assert set(fake.deliver_pending()) == {200}
    assert session["payment_intent"] in caplog.text
    assert "4901" in caplog.text
    assert user.credits == 1_000
    charge["amount_refunded"] = 2_450
    assert fake.deliver(fake.reissue(fake.event("charge.refunded"))) == [200]
    assert user.credits == 500


@pytest.mark.behaviour("RFD-09")
@pytest.mark.parametrize("changes", [{"credits": "999"}, {"pack_name": "gone"}, {"purchase_type": "book"}])
def test_take_back_nothing_of_what_was_never_awarded(
    fake: FakeStripe, user: User, changes: dict[str, str]
) -> None:
    user.give_credits(700)
    intent = pay_directly(pack_metadata(user, **changes))
    fake.deliver_pending()
    fake.refund(intent.latest_charge, 2_450)
    assert set(fake.deliver_pending()) == {200}
    fake.refund(intent.latest_charge)
    assert set(fake.deliver_pending()) == {200}
    assert user.credits == 700
    assert not Debt.objects.exists()
    assert not PaymentNotice.objects.unresolved().exists()


@pytest.mark.behaviour("RFD-10")
@pytest.mark.parametrize("packs", [[CreditPack("starter", gives=1_200, costs=cents(4_900))], []])
def test_take_back_what_was_awarded_whatever_the_pack_is_now(
    fake: FakeStripe, user: User, packs: list[CreditPack]
) -> None:
    session = buy(fake, user)
    user.give_credits(500)
    with configured(CREDIT_PACKS=packs):
        give_back(fake, session, 4_900)
    assert refunds() == [-1_000]
    assert user.credits == 500


@pytest.mark.behaviour("RFD-10")
def test_take_back_a_purchase_whose_metadata_was_lost(fake: FakeStripe, user: User) -> None:
    session = buy(fake, user)
    charge_of(fake, session)["metadata"] = {}
    fake.get("payment_intent", session["payment_intent"])["metadata"] = {}
    give_back(fake, session, 4_900)
    assert user.credits == 0


@pytest.mark.behaviour("RFD-12", "DEC-16")
def test_claim_what_was_spent_and_take_it_from_the_next_credits(fake: FakeStripe, user: User) -> None:
    session = buy(fake, user)
    user.wallet().debit(800)
    give_back(fake, session, 4_900)
    assert refunds() == [-200]
    assert (user.credits, user.wallet().claims) == (0, 800)
    give_back_again = fake.reissue(fake.event("charge.refunded"))
    assert fake.deliver(give_back_again) == [200]
    assert refunds() == [-200]

    user.give_credits(300)
    assert (user.credits, user.wallet().claims) == (0, 500)
    user.give_credits(700)
    assert refunds() == [-200, -300, -500]
    assert (user.credits, user.wallet().claims) == (200, 0)
    assert fake.deliver(fake.reissue(give_back_again)) == [200]
    assert user.credits == 200
    assert Debt.objects.get().open_amount == 0


@pytest.mark.behaviour("RFD-13")
def test_refund_of_what_was_spent_leaves_a_debt_where_negatives_are_allowed(
    fake: FakeStripe, user: User
) -> None:
    session = buy(fake, user)
    user.wallet().debit(800)
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        give_back(fake, session, 4_900)
    assert refunds() == [-1_000]
    assert user.wallet().balance == -800
    assert not Debt.objects.exists()
    user.give_credits(1_000)
    assert user.credits == 200


@pytest.mark.behaviour("RFD-14", "DEC-16")
def test_take_from_the_refunded_pack_first_and_then_as_usual(fake: FakeStripe, user: User) -> None:
    other = user.give_credits(300, expires_at=timezone.now() + days(1))
    session = buy(fake, user)
    bought = Transaction.objects.get(category="credit_pack_purchase")
    later = user.give_credits(50)
    give_back(fake, session, 2_450)
    assert remaining_of(user.wallet()) == [300, 500, 50]
    user.wallet().debit(600)
    assert remaining_of(user.wallet()) == [0, 200, 50]
    user.give_credits(500, expires_at=timezone.now() + days(1))
    give_back(fake, session, 2_450)
    refund = Transaction.objects.filter(category="credit_pack_refund").latest("pk")
    assert payments_of(refund)[0] == (lot_of(bought).pk, 200)
    assert remaining_of(user.wallet()) == [0, 0, 50, 200]
    assert {lot_of(other).remaining, lot_of(later).remaining} == {0, 50}


@pytest.mark.behaviour("RFD-16")
@pytest.mark.parametrize("refunded", [0, "much", None])
def test_ignore_refund_of_nothing(fake: FakeStripe, user: User, refunded: Any) -> None:
    session = buy(fake, user)
    fake.refund(charge_of(fake, session))
    charge_of(fake, session)["amount_refunded"] = refunded
    event = fake.event("charge.refunded")
    event["data"]["object"]["amount_refunded"] = refunded
    assert fake.deliver(event) == [200]
    assert user.credits == 1_000


@pytest.mark.behaviour("RFD-16")
def test_ignore_refund_of_payment_that_is_no_purchase(fake: FakeStripe, user: User) -> None:
    studio = Studio.objects.create(name="grace")
    for metadata in (
        {},
        pack_metadata(user, pack_name=""),
        {"usage_credits_owner": f"app.studio:{studio.pk}"},
    ):
        intent = pay_directly(metadata)
        fake.refund(intent.latest_charge)
        assert set(fake.deliver_pending()) == {200}
    assert not Transaction.objects.exists()
    assert not PaymentNotice.objects.exists()
    assert not studio.has_wallet()


@pytest.mark.behaviour("RFD-18")
def test_fresh_purchase_asks_for_no_refunds(fake: FakeStripe, user: User) -> None:
    buy(fake, user)
    asked = [request.path for request in fake.requests]
    assert "/v1/refunds" not in asked
    assert "/v1/disputes" not in asked


@pytest.mark.behaviour("PFL-06", "RFD-09")
def test_award_whole_and_take_back_the_share_refunded_before_the_payment_was_seen(
    fake: FakeStripe, user: User
) -> None:
    intent = pay_directly(pack_metadata(user))
    fake.refund(intent.latest_charge, 900)
    with capture_events() as events:
        assert announce(fake, intent) == [200, 200]
    assert list(Transaction.objects.order_by("pk").values_list("amount", flat=True)) == [1_000, -184]
    assert names(events) == ["credits_added", "credit_pack_purchased", "credits_deducted", "credits_refunded"]
    assert not PaymentNotice.objects.exists()
    assert set(fake.deliver_pending()) == {200}
    assert user.credits == 816


@pytest.mark.behaviour("DEC-12")
def test_take_back_what_is_refunded_while_it_is_awarded(fake: FakeStripe, user: User) -> None:
    intent = pay_directly(pack_metadata(user))

    def refund(**kwargs: Any) -> None:
        fake.refund(intent.latest_charge)

    pre_save.connect(refund, sender=Fulfillment)
    try:
        with capture_events() as events:
            assert fake.deliver(fake.event("payment_intent.succeeded")) == [200]
            # We look again once the award is committed.
            assert user.credits == 1_000
    finally:
        pre_save.disconnect(refund, sender=Fulfillment)
    assert refunds() == [-1_000]
    assert names(events)[-1] == "credits_refunded"


@pytest.mark.behaviour("RFD-12")
def test_take_back_after_stripe_was_out(fake: FakeStripe, user: User) -> None:
    session = buy(fake, user)
    fake.deliver_pending()
    fake.refund(charge_of(fake, session))
    for path in ("/v1/payment_intents", "/v1/refunds"):
        with fake.outage(path):
            assert set(fake.deliver_pending()) == {500}
    assert user.credits == 1_000
    assert set(fake.deliver_pending()) == {200}
    assert refunds() == [-1_000]


def test_trust_the_charge_where_refunds_cannot_be_listed(fake: FakeStripe, user: User) -> None:
    session = buy(fake, user)
    fake.refund(charge_of(fake, session), 2_450)
    with fake.outage("/v1/refunds", status=403):
        assert set(fake.deliver_pending()) == {200}
    assert user.credits == 500


@pytest.mark.behaviour("DEC-16")
@pytest.mark.parametrize("charge_forgets", [True, False])
def test_give_back_what_a_failed_refund_took(fake: FakeStripe, user: User, charge_forgets: bool) -> None:
    session = buy(fake, user)
    give_back(fake, session, 1_225, 2_450)
    refund = fake.all("refund")[-1]
    refund["status"] = "failed"
    if charge_forgets:
        charge_of(fake, session)["amount_refunded"] -= 2_450
    with capture_events() as events:
        assert fake.deliver(fake.reissue(fake.event("charge.refunded"))) == [200]
        assert fake.deliver(fake.reissue(fake.event("refund.created"))) == [200]
    assert refunds() == [-250, -500, 500]
    assert names(events) == ["credits_added"]
    back = Transaction.objects.latest("pk")
    assert (back.expires_at, back.metadata["cumulative_credits"]) == (None, 250)
    assert user.credits == 750


@pytest.mark.behaviour("DEC-16")
def test_failed_refund_lowers_the_claim_before_anything_is_given_back(fake: FakeStripe, user: User) -> None:
    session = buy(fake, user)
    user.wallet().debit(700)
    give_back(fake, session, 2_450, 2_450)
    assert (refunds(), user.wallet().claims) == ([-300], 700)
    user.give_credits(100)
    assert (refunds(), user.wallet().claims) == ([-300, -100], 600)
    charge, (first, second) = charge_of(fake, session), fake.all("refund")
    first["status"], charge["amount_refunded"] = "failed", 2_450
    assert fake.deliver(fake.reissue(fake.event("charge.refunded"))) == [200]
    assert (refunds(), user.wallet().claims, user.credits) == ([-300, -100], 100, 0)
    second["status"], charge["amount_refunded"] = "canceled", 0
    assert fake.deliver(fake.reissue(fake.event("charge.refunded"))) == [200]
    assert (refunds(), user.wallet().claims, user.credits) == ([-300, -100, 400], 0, 400)


def test_refund_of_a_pack_for_some_operations_takes_its_own_lot_and_what_has_no_scope(
    fake: FakeStripe, user: User
) -> None:
    pack = CreditPack("mails", gives=100, costs=cents(1_000), priority=-1, scope=["mail"])
    with configured(CREDIT_PACKS=[pack]):
        session = buy(fake, user, "mails")
        user.wallet().debit(70, operation="mail")
        user.give_credits(20)
        user.give_credits(40, scope=["mail"])
        give_back(fake, session, 1_000)
    assert refunds() == [-50]
    assert remaining_of(user.wallet()) == [0, 0, 40]
    assert Debt.objects.get().open_amount == 50


def test_failed_refund_gives_back_credits_as_they_were(fake: FakeStripe, user: User) -> None:
    pack = CreditPack("mails", gives=100, costs=cents(1_000), priority=-1, scope=["mail"])
    with configured(CREDIT_PACKS=[pack]):
        session = buy(fake, user, "mails")
        give_back(fake, session, 1_000)
        fake.all("refund")[-1]["status"] = "failed"
        charge_of(fake, session)["amount_refunded"] = 0
        assert fake.deliver(fake.reissue(fake.event("charge.refunded"))) == [200]
    assert refunds() == [-100, 100]
    back = lot_of(Transaction.objects.latest("pk"))
    assert (back.remaining, back.priority, back.scope) == (100, -1, ("mail",))

from __future__ import annotations

import copy
from typing import Any

import pytest
import stripe

from tests.app.models import User
from tests.billing.shopping import RETURN, buy, check_out, sent
from usage_credits import CreditPack, InvalidValue, cents, find_credit_pack
from usage_credits.billing.checkout import create_checkout_session
from usage_credits.testing import FakeStripe

OURS = {
    "purchase_type": "credit_pack",
    "pack_name": "bonus",
    "credits": "500",
    "bonus_credits": "100",
    "price_cents": "2900",
    "price_currency": "USD",
}


@pytest.mark.behaviour("PAC-11")
def test_create_session_with_one_line_of_the_packs_price(fake: FakeStripe, user: User) -> None:
    session = check_out(user, "bonus")
    assert session.url
    assert sent(fake)["mode"] == "payment"
    assert sent(fake)["line_items"] == [
        {
            "quantity": "1",
            "price_data": {
                "currency": "usd",
                "unit_amount": "2900",
                "product_data": {"name": "Bonus pack", "description": "500 + 100 bonus credits"},
            },
        }
    ]
    ours = {**OURS, "usage_credits_owner": f"app.user:{user.pk}"}
    assert sent(fake)["metadata"] == ours
    assert sent(fake)["payment_intent_data"] == {"metadata": ours}


@pytest.mark.behaviour("PAC-08")
def test_keep_metadata_of_the_definition_from_the_provider(
    fake: FakeStripe, user: User, settings: Any
) -> None:
    packs = [CreditPack("noted", gives=1, costs=cents(100), metadata={"tier": "gold"})]
    settings.USAGE_CREDITS = {"CREDIT_PACKS": packs}
    check_out(user, "noted")
    assert "tier" not in sent(fake)["metadata"]


@pytest.mark.behaviour("PAC-12")
def test_pass_options_through(fake: FakeStripe, user: User) -> None:
    options: dict[str, Any] = {
        "allow_promotion_codes": True,
        "billing_address_collection": "required",
        "client_reference_id": "cart 7",
        "customer_email": "other@example.com",
        "locale": "de",
        "payment_intent_data": {"description": "Credits"},
        "submit_type": "pay",
    }
    session = check_out(user, **options)
    assert {name: sent(fake)[name] for name in RETURN} == RETURN
    assert sent(fake)["allow_promotion_codes"] == "true"
    assert sent(fake)["payment_intent_data"]["description"] == "Credits"
    for name in (
        "billing_address_collection",
        "client_reference_id",
        "customer_email",
        "locale",
        "submit_type",
    ):
        assert sent(fake)[name] == options[name]
    assert session.customer is None


@pytest.mark.behaviour("PAC-13")
def test_keep_own_metadata_from_being_overridden(fake: FakeStripe, user: User) -> None:
    other = User.objects.create(username="eve")
    theirs = {**dict.fromkeys(OURS, "1"), "usage_credits_owner": f"app.user:{other.pk}", "campaign": "may"}
    check_out(user, "bonus", metadata=theirs, payment_intent_data={"metadata": {**theirs, "desk": "4"}})
    ours = {**OURS, "usage_credits_owner": f"app.user:{user.pk}", "campaign": "may"}
    assert sent(fake)["metadata"] == ours
    assert sent(fake)["payment_intent_data"]["metadata"] == {**ours, "desk": "4"}


@pytest.mark.behaviour("PAC-14")
def test_ignore_mode_and_line_items_of_the_caller(fake: FakeStripe, user: User) -> None:
    check_out(user, mode="setup", line_items=[{"price": "price_cheap", "quantity": 1}])
    assert sent(fake)["mode"] == "payment"
    assert sent(fake)["line_items"][0]["price_data"]["unit_amount"] == "4900"


@pytest.mark.behaviour("PAC-15")
def test_leave_dicts_of_the_caller_as_they_are(fake: FakeStripe, user: User) -> None:
    options = {"metadata": {"campaign": "may"}, "payment_intent_data": {"metadata": {"desk": "4"}}}
    before = copy.deepcopy(options)
    check_out(user, "bonus", **options)
    check_out(user, "starter", **options)
    assert options == before
    assert sent(fake)["metadata"]["pack_name"] == "starter"


@pytest.mark.behaviour("PAC-15")
def test_accept_none_for_metadata(fake: FakeStripe, user: User) -> None:
    check_out(user, "bonus", metadata=None, payment_intent_data=None)
    assert sent(fake)["metadata"].items() >= OURS.items()
    assert sent(fake)["payment_intent_data"]["metadata"] == sent(fake)["metadata"]


@pytest.mark.behaviour("DEC-24")
def test_charge_in_the_packs_currency_and_its_minor_unit(fake: FakeStripe, user: User, settings: Any) -> None:
    packs = [CreditPack("sakura", gives=10, costs=1_000), CreditPack("tea", gives=1, costs=cents(70, "GBP"))]
    settings.USAGE_CREDITS = {"CREDIT_PACKS": packs, "DEFAULT_CURRENCY": "JPY"}
    for pack, currency, amount in (("sakura", "jpy", "1000"), ("tea", "gbp", "70")):
        check_out(user, pack)
        price = sent(fake)["line_items"][0]["price_data"]
        assert (price["currency"], price["unit_amount"]) == (currency, amount)


@pytest.mark.behaviour("PAC-18")
def test_sell_with_a_promotion_code_that_makes_it_free(fake: FakeStripe, user: User) -> None:
    fake.add_coupon(100, code="GIFT")
    session = fake.pay(check_out(user, allow_promotion_codes=True).id, promotion_code="gift")
    assert session["payment_status"] == "no_payment_required"
    fake.deliver_pending()
    assert user.credits == 1_000


def test_refuse_owner_that_is_not_saved(fake: FakeStripe) -> None:
    with pytest.raises(InvalidValue, match="unsaved User cannot buy") as refusal:
        check_out(User(username="ada"))
    assert refusal.value.field == "owner"
    assert fake.requests == []


def test_refuse_pack_that_settings_do_not_offer_so(fake: FakeStripe, user: User) -> None:
    for pack in (
        CreditPack("forgotten", gives=1, costs=cents(1)),
        CreditPack("starter", gives=1_000, costs=cents(1)),
    ):
        with pytest.raises(InvalidValue, match="not in CREDIT_PACKS"):
            pack.create_checkout_session(user, **RETURN)
    assert fake.requests == []


@pytest.mark.parametrize("quantity", [0, 2, True, "1", None])
def test_refuse_several_packs_at_once(fake: FakeStripe, user: User, quantity: Any) -> None:
    with pytest.raises(InvalidValue, match="a purchase awards one pack") as refusal:
        check_out(user, quantity=quantity)
    assert refusal.value.field == "quantity"
    assert fake.requests == []


def test_refuse_pack_with_a_period(fake: FakeStripe, user: User) -> None:
    with pytest.raises(InvalidValue, match="a pack is paid once") as refusal:
        check_out(user, period="month")
    assert refusal.value.field == "period"
    assert fake.requests == []


def test_refuse_to_sell_anything_else(fake: FakeStripe, user: User) -> None:
    with pytest.raises(InvalidValue, match="nothing else is sold through Stripe"):
        create_checkout_session("starter", user)
    assert fake.requests == []


def test_write_no_credits_before_payment(fake: FakeStripe, user: User) -> None:
    check_out(user)
    assert user.credits == 0


def test_show_what_stripe_refuses(fake: FakeStripe, user: User) -> None:
    pack = find_credit_pack("starter")
    assert pack
    with pytest.raises(stripe.InvalidRequestError, match="unknown parameter: colour"):
        pack.create_checkout_session(user, colour="blue")


def test_award_buyer_who_paid_as_guest(fake: FakeStripe, user: User) -> None:
    session = buy(fake, user, customer_email="someone@example.com")
    assert session["customer"] is None
    assert user.credits == 1_000

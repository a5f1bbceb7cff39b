from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe

from tests.app.models import Team, User
from tests.billing.shopping import RETURN, check_out_plan, sent
from tests.billing.subscribing import START, stripe_at
from usage_credits import (
    InvalidValue,
    SubscriptionPlan,
    credits,
    find_subscription_plan,
)
from usage_credits.models import Fulfillment, PaymentNotice
from usage_credits.testing import FakeStripe

TIERS = SubscriptionPlan(
    "tiers",
    stripe_price={"month": "price_tiers_m", "year": "price_tiers_y"},
    gives=credits(300).every("month"),
    signup_bonus=30,
    unused_credits="rollover",
    metadata={"limits": {"seats": 5}, "note": None},
)


@pytest.fixture(autouse=True)
def prices(fake: FakeStripe) -> None:
    fake.add_price("price_pro", amount=2_900)
    fake.add_price("price_tiers_m", amount=1_900)
    fake.add_price("price_tiers_y", amount=19_000, interval="year")


def offer(settings: Any, *plans: SubscriptionPlan) -> None:
    settings.USAGE_CREDITS = {"SUBSCRIPTION_PLANS": plans}


@pytest.mark.behaviour("PLN-09", "PLN-12")
def test_create_session_of_a_subscription(fake: FakeStripe, user: User) -> None:
    session = check_out_plan(user)
    assert session.url
    ours = {
        "purchase_type": "credit_plan",
        "plan_name": "pro",
        "usage_credits_owner": f"app.user:{user.pk}",
    }
    assert sent(fake) == {
        **RETURN,
        "customer": session.customer,
        "mode": "subscription",
        "line_items": [{"price": "price_pro", "quantity": "1"}],
        "metadata": ours,
        "subscription_data": {"metadata": ours},
    }


@pytest.mark.behaviour("PLN-12")
def test_keep_metadata_of_the_definition_from_the_provider(
    fake: FakeStripe, user: User, settings: Any
) -> None:
    offer(settings, TIERS)
    check_out_plan(user, "tiers", period="month")
    for metadata in (sent(fake)["metadata"], sent(fake)["subscription_data"]["metadata"]):
        assert sorted(metadata) == ["plan_name", "purchase_type", "usage_credits_owner"]
        assert all(type(value) is str for value in metadata.values())


def test_pass_options_through(fake: FakeStripe, user: User) -> None:
    options: dict[str, Any] = {
        "allow_promotion_codes": True,
        "metadata": {"campaign": "may", "plan_name": "theirs"},
        "mode": "setup",
        "line_items": [{"price": "price_cheap", "quantity": 1}],
        "subscription_data": {
            "description": "Credits",
            "metadata": {"desk": "4", "purchase_type": "theirs"},
            "trial_period_days": 7,
        },
    }
    before = copy.deepcopy(options)
    for _time in range(2):
        check_out_plan(user, **options)
        assert options == before
        ours = {
            "purchase_type": "credit_plan",
            "plan_name": "pro",
            "usage_credits_owner": f"app.user:{user.pk}",
        }
        assert sent(fake)["mode"] == "subscription"
        assert sent(fake)["line_items"] == [{"price": "price_pro", "quantity": "1"}]
        assert sent(fake)["allow_promotion_codes"] == "true"
        assert sent(fake)["metadata"] == {**ours, "campaign": "may"}
        assert sent(fake)["subscription_data"] == {
            "description": "Credits",
            "metadata": {**ours, "desk": "4"},
            "trial_period_days": "7",
        }


@pytest.mark.behaviour("PLN-09")
def test_refuse_options_of_a_payment(fake: FakeStripe, user: User) -> None:
    with pytest.raises(InvalidValue, match="give subscription_data instead") as refusal:
        check_out_plan(user, payment_intent_data={"description": "Credits"})
    assert refusal.value.field == "payment_intent_data"
    assert fake.requests == []


@pytest.mark.behaviour("PLN-09")
@pytest.mark.parametrize("nothing", [None, {}])
def test_send_no_options_of_a_payment(fake: FakeStripe, user: User, nothing: Any) -> None:
    check_out_plan(user, payment_intent_data=nothing, metadata=nothing, subscription_data=nothing)
    assert "payment_intent_data" not in sent(fake)
    assert sent(fake)["subscription_data"]["metadata"] == sent(fake)["metadata"]


@pytest.mark.behaviour("PLN-10")
@pytest.mark.parametrize(("period", "price"), [("month", "price_tiers_m"), ("year", "price_tiers_y")])
def test_choose_the_price_by_its_period(
    fake: FakeStripe, user: User, settings: Any, period: str, price: str
) -> None:
    offer(settings, TIERS)
    check_out_plan(user, "tiers", period=period)
    assert sent(fake)["line_items"] == [{"price": price, "quantity": "1"}]


@pytest.mark.behaviour("PLN-10", "PLN-11")
@pytest.mark.parametrize("period", [None, "week", "default", 1])
def test_refuse_plan_with_several_prices_without_one_of_their_periods(
    fake: FakeStripe, user: User, settings: Any, period: Any
) -> None:
    offer(settings, TIERS)
    with pytest.raises(InvalidValue, match='"month" or "year"') as refusal:
        check_out_plan(user, "tiers", period=period)
    assert refusal.value.field == "period"
    assert fake.requests == []


@pytest.mark.behaviour("PLN-10")
@pytest.mark.parametrize("period", ["month", "default"])
def test_refuse_period_of_a_plan_with_a_single_price(fake: FakeStripe, user: User, period: str) -> None:
    with pytest.raises(InvalidValue, match="single price") as refusal:
        check_out_plan(user, period=period)
    assert refusal.value.field == "period"
    assert fake.requests == []


@pytest.mark.behaviour("PLN-11")
def test_refuse_plan_without_price(fake: FakeStripe, user: User, settings: Any) -> None:
    offer(settings, SubscriptionPlan("free", gives=credits(1).every("month")))
    with pytest.raises(InvalidValue, match="has no stripe_price") as refusal:
        check_out_plan(user, "free")
    assert refusal.value.field == "plan"
    assert fake.requests == []


@pytest.mark.behaviour("PLN-11", "DEC-24")
def test_create_missing_customer(fake: FakeStripe) -> None:
    team = Team.objects.create(name="Analysts")
    session = check_out_plan(team)
    (customer,) = fake.all("customer")
    assert session.customer == customer["id"]
    assert customer["metadata"] == {"usage_credits_owner": f"app.team:{team.pk}"}


@pytest.mark.behaviour("PLN-11")
def test_refuse_owner_that_is_not_saved(fake: FakeStripe) -> None:
    with pytest.raises(InvalidValue, match="unsaved User cannot buy") as refusal:
        check_out_plan(User(username="ada"))
    assert refusal.value.field == "owner"
    assert fake.requests == []


@pytest.mark.behaviour("PLN-08")
@pytest.mark.parametrize("provider", ["paddle", "paypal", None])
def test_refuse_other_providers(fake: FakeStripe, user: User, provider: Any) -> None:
    with pytest.raises(InvalidValue, match='"stripe": no other provider has a checkout') as refusal:
        check_out_plan(user, provider=provider)
    assert refusal.value.field == "provider"
    assert fake.requests == []
    assert check_out_plan(user, provider="stripe").url


@pytest.mark.behaviour("PLN-17", "TOK-19")
def test_refuse_archived_plan_and_go_on_for_those_who_have_it(
    fake: FakeStripe, user: User, settings: Any
) -> None:
    with stripe_at(fake):
        fake.pay(check_out_plan(user).id)
        fake.deliver_pending()
        assert user.credits == 600
    sold = find_subscription_plan("pro")
    assert sold
    archived = SubscriptionPlan(
        "pro", stripe_price=sold.stripe_price, gives=sold.gives, unused_credits="rollover", archived=True
    )
    offer(settings, archived)
    asked = len(fake.requests)
    with pytest.raises(InvalidValue, match="'pro' is archived") as refusal:
        check_out_plan(user)
    assert refusal.value.field == "plan"
    assert len(fake.requests) == asked
    with stripe_at(fake, datetime(2026, 2, 1, 2, tzinfo=UTC)):
        fake.catch_up()
        fake.deliver_pending()
        fulfillment = Fulfillment.objects.get()
        assert list(fulfillment.transactions.order_by("pk").values_list("amount", flat=True))[2:] == [500]


def test_refuse_plan_that_settings_do_not_offer_so(fake: FakeStripe, user: User) -> None:
    for plan in (
        SubscriptionPlan("forgotten", stripe_price="price_f", gives=credits(1).every("month")),
        SubscriptionPlan("pro", stripe_price="price_pro", gives=credits(1_000).every("month")),
    ):
        with pytest.raises(InvalidValue, match="not in SUBSCRIPTION_PLANS") as refusal:
            plan.create_checkout_session(user, **RETURN)
        assert refusal.value.field == "plan"
    assert fake.requests == []


@pytest.mark.parametrize("quantity", [0, -1, True, 1.0, "2", None])
def test_refuse_quantity_that_is_no_whole_number_of_seats(
    fake: FakeStripe, user: User, quantity: Any
) -> None:
    with pytest.raises(InvalidValue, match="a whole number") as refusal:
        check_out_plan(user, quantity=quantity)
    assert refusal.value.field == "quantity"
    assert fake.requests == []


def test_award_each_seat_that_was_bought(fake: FakeStripe, user: User, settings: Any) -> None:
    offer(
        settings,
        SubscriptionPlan("pro", stripe_price="price_pro", gives=credits(10).every("month"), per_seat=True),
    )
    fake.pay(check_out_plan(user, quantity=3).id)
    assert set(fake.deliver_pending()) == {200}
    assert user.credits == 30


@pytest.mark.parametrize(("period", "paid"), [("month", 1_900), ("year", 19_000)])
def test_award_a_plan_that_is_checked_out_and_paid(
    fake: FakeStripe, user: User, settings: Any, period: str, paid: int
) -> None:
    offer(settings, TIERS)
    with stripe_at(fake):
        session = fake.pay(check_out_plan(user, "tiers", period=period).id)
        assert session["amount_total"] == paid
        assert user.credits == 0
        assert set(fake.deliver_pending()) == {200}
        assert user.credits == 330
        for event in fake.events_for(session):
            fake.deliver(event)
        assert user.credits == 330
    fulfillment = Fulfillment.objects.get()
    assert fulfillment.source_id == f"sub:{session['subscription']}"
    assert fulfillment.wallet.owner == user
    months = 1 if period == "month" else 12
    assert fulfillment.paid_through == datetime(2026 + months // 12, 1 + months % 12, 1, tzinfo=UTC)
    if period == "month":
        with stripe_at(fake, datetime(2026, 2, 1, 2, tzinfo=UTC)):
            fake.catch_up()
            fake.deliver_pending()
            assert user.credits == 630
    assert not PaymentNotice.objects.exists()


def test_award_trial_and_then_its_first_cycle(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake) as clock:
        fake.pay(check_out_plan(user, subscription_data={"trial_period_days": 7}).id)
        fake.deliver_pending()
        assert user.credits == 50
        clock.move_to(START + timedelta(days=7, hours=2))
        fake.catch_up()
        fake.deliver_pending()
        assert user.credits == 600


def test_award_buyer_who_paid_as_guest(fake: FakeStripe, user: User) -> None:
    session = fake.pay(check_out_plan(user, customer_email="someone@example.com").id)
    fake.deliver_pending()
    assert fake.get("customer", session["customer"])["email"] == "someone@example.com"
    assert user.credits == 600


def test_show_what_stripe_refuses(fake: FakeStripe, user: User) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="customer_creation"):
        check_out_plan(user, customer_creation="always")

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from djstripe.models import Event

from tests.app.models import Team, User
from tests.factories import configured, make_user
from usage_credits import SubscriptionPlan, credits, find_credit_pack, recharge_if_due
from usage_credits.billing.stripe_events import EVENTS
from usage_credits.testing import StripeWorld, use_stripe_world

PLANS = [
    SubscriptionPlan(
        "prices",
        gives=credits(300).every("month"),
        stripe_price={
            "month": "price_m",
            "year": "price_y",
            "quarter": "price_q",
            "weekly": "price_w",
            "2 weeks": "price_2w",
            "early bird": "price_bird",
        },
    ),
    SubscriptionPlan("yearly", gives=credits(900).every("2 years"), stripe_price="price_2y"),
    SubscriptionPlan("odd", gives=credits(9).every("P1M3D"), stripe_price="price_odd"),
    SubscriptionPlan("free", gives=credits(10).every("month")),
]


@pytest.fixture
def user(db: None) -> User:
    return make_user()


@pytest.fixture
def stripe_prices() -> dict[str, Any]:
    return {"price_pro": 2_900, "price_of_mine": {"amount": 5, "currency": "eur", "interval": None}}


def test_prices_of_all_plans_are_known(db: None) -> None:
    with configured(SUBSCRIPTION_PLANS=PLANS, DEFAULT_CURRENCY="eur"), use_stripe_world() as world:
        prices = {price["id"]: price for price in world.fake.all("price")}
    assert {
        name: (price["recurring"]["interval"], price["recurring"]["interval_count"])
        for name, price in prices.items()
    } == {
        "price_m": ("month", 1),
        "price_y": ("year", 1),
        "price_q": ("month", 3),
        "price_w": ("day", 7),
        "price_2w": ("day", 14),
        "price_bird": ("month", 1),
        "price_2y": ("year", 2),
        "price_odd": ("month", 1),
    }
    assert {price["currency"] for price in prices.values()} == {"eur"}
    assert (prices["price_y"]["unit_amount"], prices["price_2y"]["unit_amount"]) == (300, 900)


def test_prices_given_by_hand_win(stripe_world: StripeWorld) -> None:
    prices = {price["id"]: price for price in stripe_world.fake.all("price")}
    assert prices["price_pro"]["unit_amount"] == 2_900
    assert prices["price_roll"]["unit_amount"] == 1_000
    assert (prices["price_of_mine"]["currency"], prices["price_of_mine"]["recurring"]) == ("eur", None)


def test_buy_awards_through_the_webhook(stripe_world: StripeWorld, user: User) -> None:
    session = stripe_world.buy(user, "starter", deliver=False)
    assert user.credits == 0
    stripe_world.deliver()
    assert user.credits == 1_000
    assert session["payment_status"] == "paid"
    stripe_world.refund(session, 2_450)
    assert user.credits == 500
    stripe_world.refund(session)
    assert user.credits == 0


def test_buy_takes_what_a_checkout_takes(stripe_world: StripeWorld, user: User) -> None:
    stripe_world.fake.add_coupon(50, code="HALF")
    session = stripe_world.buy(user, "starter", promotion_code="HALF", allow_promotion_codes=True)
    assert session["amount_total"] == 2_450
    delayed = stripe_world.buy(user, "hundred", delayed=True)
    assert user.credits == 1_000
    stripe_world.fake.settle(delayed)
    stripe_world.deliver()
    assert user.credits == 1_100


def test_subscribe_awards_through_the_webhook(stripe_world: StripeWorld, user: User) -> None:
    subscription = stripe_world.subscribe(user, "pro")
    assert (subscription["status"], user.credits) == ("active", 600)
    assert subscription["customer"] == stripe_world.customer_of(user)["id"]


def test_subscribe_takes_what_a_checkout_takes(stripe_world: StripeWorld, user: User) -> None:
    trial: dict[str, Any] = {"subscription_data": {"trial_period_days": 14}}
    assert stripe_world.subscribe(user, "pro", quantity=3, **trial)["status"] == "trialing"
    assert user.credits == 50
    with configured(SUBSCRIPTION_PLANS=PLANS):
        bought = stripe_world.subscribe(user, "prices", period="year")
    assert bought["items"]["data"][0]["price"]["id"] == "price_y"


def test_owners_of_any_model_buy(stripe_world: StripeWorld) -> None:
    team = Team.objects.create(name="crew")
    pack = find_credit_pack("starter")
    assert pack
    stripe_world.buy(team, pack)
    assert team.credits == 1_000


def test_names_that_settings_do_not_have_are_refused(stripe_world: StripeWorld, user: User) -> None:
    with pytest.raises(LookupError, match="got 'golden', CREDIT_PACKS has 'starter', 'bonus', 'hundred'"):
        stripe_world.buy(user, "golden")
    with (
        configured(SUBSCRIPTION_PLANS=[]),
        pytest.raises(LookupError, match="SUBSCRIPTION_PLANS has none"),
    ):
        stripe_world.subscribe(user, "pro")


def test_deliver_fails_where_the_webhook_does(stripe_world: StripeWorld, user: User) -> None:
    [endpoint] = stripe_world.fake.all("webhook_endpoint")
    endpoint["secret"] = "whsec_forged"
    with pytest.raises(AssertionError, match=r"answered \[400, .* to .*checkout\.session\.completed"):
        stripe_world.buy(user, "starter")
    assert user.credits == 0


def test_tell_the_webhook_what_it_is_enabled_for(stripe_world: StripeWorld, user: User) -> None:
    stripe_world.buy(user, "starter")
    stripe_world.subscribe(user, "pro")
    assert "customer.created" in {event["type"] for event in stripe_world.fake.events}
    told = set(Event.objects.values_list("type", flat=True))
    assert told == {event["type"] for event in stripe_world.fake.announced}
    assert told < set(EVENTS)


class TestEveryEvent:
    @pytest.fixture
    def stripe_events(self) -> list[str]:
        return ["*"]

    def test_tell_the_webhook_everything_where_a_project_wants_it(
        self, stripe_world: StripeWorld, user: User
    ) -> None:
        stripe_world.customer_of(user)
        stripe_world.deliver()
        assert Event.objects.get().type == "customer.created"


def test_keys_of_a_real_account_are_never_used(
    settings: Any, request: pytest.FixtureRequest, db: None
) -> None:
    settings.STRIPE_LIVE_MODE = True
    settings.STRIPE_TEST_SECRET_KEY = "sk_test_real"
    world: StripeWorld = request.getfixturevalue("stripe_world")
    assert settings.STRIPE_TEST_SECRET_KEY == "sk_test_" + "0" * 24
    assert settings.STRIPE_LIVE_MODE is False
    assert world.fake.next_due() is None


def test_next_due_is_when_something_happens_by_itself(stripe_world: StripeWorld, user: User) -> None:
    subscription = stripe_world.subscribe(user, "roll")
    due = stripe_world.fake.next_due()
    assert due is not None
    assert due.timestamp() == subscription["items"]["data"][0]["current_period_end"]
    stripe_world.fake.advance_to(due - timedelta(seconds=1))
    assert stripe_world.fake.next_due() == due
    stripe_world.fake.cancel(subscription)
    assert stripe_world.fake.next_due() is None


def test_recharge_a_wallet_by_the_example_of_the_how_to(stripe_world: StripeWorld, user: User) -> None:
    stripe_world.fake.add_card(stripe_world.customer_of(user))
    user.set_recharge("starter", threshold=100)
    recharge_if_due(user.wallet())
    assert user.credits == 0
    stripe_world.deliver()
    assert user.credits == 1_000

from __future__ import annotations

from typing import Any

import pytest
import stripe
from django.conf import settings as django_settings
from django.test import Client, override_settings
from djstripe.models import Price

from tests.app.models import User
from tests.factories import configured, stored
from tests.views.visiting import seen, statements_of, url, visitor
from usage_credits import CreditPack, SubscriptionPlan, credits, euros, start_plan
from usage_credits.models import Wallet
from usage_credits.testing import StripeWorld

PLANS = [
    SubscriptionPlan(
        "pro",
        stripe_price={"month": "price_m", "year": "price_y"},
        gives=credits(500).every("month"),
        signup_bonus=100,
    ),
    SubscriptionPlan("team", stripe_price="price_t", gives=credits(9_000).every("quarter"), per_seat=True),
    SubscriptionPlan("old", stripe_price="price_o", gives=credits(5).every("month"), archived=True),
    SubscriptionPlan("free", gives=credits(25).every("month"), unused_credits="rollover"),
]


@pytest.fixture
def stripe_prices() -> dict[str, Any]:
    return {"price_m": 2_900, "price_y": {"amount": 29_000, "interval": "year"}, "price_t": 9_900}


def sync(price_id: str) -> None:
    """Let dj-stripe have a price, as its webhook for prices does."""
    key = django_settings.STRIPE_TEST_SECRET_KEY
    Price.sync_from_stripe_data(stripe.Price.retrieve(price_id, expand=["product"], api_key=key), api_key=key)


def shop(client: Client, **asked: str) -> str:
    return seen(client.get(url("shop"), asked))


def test_shop_offers_packs_with_their_buttons(client: Client) -> None:
    page = shop(client)
    for name, gives, price in (
        ("starter", "1000 credits", "49.00 USD"),
        ("bonus", "500 + 100 bonus credits", "29.00 USD"),
        ("hundred", "100 credits", "10.00 USD"),
    ):
        assert f'<p class="usage-credits-figure">{gives}</p>' in page
        assert f"<p>{price}</p>" in page
        assert f'<input type="hidden" name="pack" value="{name}">' in page
        assert f">Buy {name.title()}</button>" in page
    assert page.count(f'action="{url("buy_pack")}"') == 3


def test_shop_offers_plans_that_are_sold(client: Client) -> None:
    with configured(SUBSCRIPTION_PLANS=PLANS):
        page = shop(client)
    assert "<h3>Pro</h3>" in page
    assert "Every month" in page
    assert "100 credits more at the start" in page
    assert "Every 3 months, for each seat" in page
    assert '<input type="hidden" name="period" value="year">' in page
    assert page.count('name="seats"') == 1
    assert page.count('name="period"') == 2
    assert page.count(f'action="{url("subscribe")}"') == 3
    assert "Old" not in page
    assert "Free" not in page


def test_shop_shows_the_prices_that_dj_stripe_has(client: Client, stripe_world: StripeWorld) -> None:
    with configured(SUBSCRIPTION_PLANS=PLANS):
        page = shop(client)
        assert "USD every" not in page
        assert "paid every month" in page
        sync("price_m")
        sync("price_y")
        page = shop(client)
    assert "<span>29.00 USD every month</span>" in page
    assert "<span>290.00 USD every year</span>" in page


def test_shop_takes_as_many_statements_for_many_plans_as_for_one(
    client: Client, stripe_world: StripeWorld
) -> None:
    def plans(number: int) -> list[SubscriptionPlan]:
        gives = credits(5).every("month")
        return [SubscriptionPlan(f"p{n}", stripe_price=f"price_{n}", gives=gives) for n in range(number)]

    with configured(SUBSCRIPTION_PLANS=plans(1)):
        few = statements_of(client, url("shop"))
    with configured(SUBSCRIPTION_PLANS=plans(20)):
        assert statements_of(client, url("shop")) == few


def test_who_pays_for_a_plan_manages_it(client: Client, user: User, stripe_world: StripeWorld) -> None:
    with configured(SUBSCRIPTION_PLANS=PLANS):
        stripe_world.subscribe(user, "pro", period="month")
        page = shop(client)
        assert f'action="{url("manage_subscription")}"' in client.get(url("wallet")).content.decode()
    assert f'action="{url("manage_subscription")}"' in page
    assert f'action="{url("subscribe")}"' not in page
    assert '<span class="usage-credits-badge">Your plan</span>' in page
    assert page.count(f'action="{url("buy_pack")}"') == 3


def test_plan_without_payment_is_shown_and_others_are_offered(client: Client, user: User) -> None:
    with configured(SUBSCRIPTION_PLANS=PLANS):
        start_plan(user, "free")
        page = shop(client)
    assert "<strong>Free</strong>" in page
    assert "+25 credits" in page
    assert f'action="{url("subscribe")}"' in page
    assert f'action="{url("manage_subscription")}"' not in page


def test_owner_without_a_wallet_can_buy(client: Client) -> None:
    Wallet.objects.all().delete()
    before = stored()
    assert f'action="{url("buy_pack")}"' in shop(client)
    assert stored() == before


def test_shop_takes_along_where_buyers_go_on(client: Client) -> None:
    assert shop(client, next="/renders/new/").count('name="next" value="/renders/new/"') == 7
    for bad in ("https://evil.test/", "//evil.test", "javascript:alert(1)", "/" + "x" * 5_000):
        page = shop(client, next=bad)
        assert 'name="next"' not in page
        assert bad not in page


@pytest.mark.usefixtures("without_stripe")
def test_shop_has_no_buttons_where_nothing_can_be_sold(client: Client) -> None:
    page = shop(client)
    assert "1000 credits" in page
    assert "<form" not in page
    assert "<button" not in page
    assert url("recharge") not in page


def test_shop_that_sells_nothing_says_so(client: Client) -> None:
    with configured(CREDIT_PACKS=[], SUBSCRIPTION_PLANS=[]):
        assert "Nothing is sold at the moment." in shop(client)


@override_settings(LANGUAGE_CODE="de", USE_THOUSAND_SEPARATOR=True)
def test_shop_is_written_as_the_language_has_it(user: User) -> None:
    packs = [CreditPack("huge", gives=1_000_000, bonus=50_000, costs=euros(1_234.5))]
    with configured(CREDIT_PACKS=packs):
        page = shop(visitor(user))
    assert "1.000.000 + 50.000 bonus credits" in page
    assert "1.234,50 EUR" in page

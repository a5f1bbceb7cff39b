from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings
from djstripe.models import Price

from tests.settings import INSTALLED_APPS
from usage_credits import SubscriptionPlan, cents, credits
from usage_credits.billing.plan_prices import Cost, PlanPrice, plan_prices
from usage_credits.dsl.periods import Period
from usage_credits.testing import FakeStripe

MONTH, YEAR = Period.parse("month"), Period.parse("year")


def plan(name: str, prices: Any) -> SubscriptionPlan:
    return SubscriptionPlan(name, stripe_price=prices, gives=credits(5).every("month"))


PRO, TEAM = plan("pro", {"month": "price_m", "year": "price_y"}), plan("team", "price_t")


def store(fake: FakeStripe, price_id: str, **options: Any) -> None:
    """Let Stripe have a price, and dj-stripe too."""
    changes = options.pop("changes", {})
    price = {**fake.add_price(price_id, **options), **changes}
    Price.sync_from_stripe_data(price)


def test_prices_tell_what_dj_stripe_has_of_them(fake: FakeStripe, django_assert_num_queries: Any) -> None:
    store(fake, "price_m", amount=2_900)
    store(fake, "price_y", amount=29_000, currency="eur", interval="year")
    store(fake, "price_t", amount=100, interval="week", interval_count=2)
    store(fake, "price_other", amount=1)
    with django_assert_num_queries(1):
        found = plan_prices([PRO, TEAM])
    assert found == {
        "pro": [
            PlanPrice("price_m", "month", Cost(cents(2_900), MONTH)),
            PlanPrice("price_y", "year", Cost(cents(29_000, "eur"), YEAR)),
        ],
        "team": [PlanPrice("price_t", None, Cost(cents(100), Period.parse("2 weeks")))],
    }


def test_prices_that_dj_stripe_has_not_tell_what_settings_say(fake: FakeStripe) -> None:
    found = plan_prices([PRO, TEAM, plan("bird", {"early_bird": "price_b"})])
    assert [price.cost for prices in found.values() for price in prices] == [None] * 4
    assert [price.every for prices in found.values() for price in prices] == [MONTH, YEAR, None, None]


@pytest.mark.parametrize(
    "changes",
    [
        {"unit_amount": None, "billing_scheme": "tiered"},
        {"unit_amount": None, "unit_amount_decimal": "0.5"},
        {"transform_quantity": {"divide_by": 10, "round": "up"}},
        {"recurring": {"interval": "month", "interval_count": 1, "usage_type": "metered"}},
        {"recurring": None, "type": "one_time"},
    ],
)
def test_prices_that_are_no_plain_amount_tell_none(fake: FakeStripe, changes: dict[str, Any]) -> None:
    store(fake, "price_t", amount=100, changes=changes)
    assert plan_prices([TEAM]) == {"team": [PlanPrice("price_t", None, None)]}


def test_prices_take_no_statement_where_there_are_none_to_find(
    db: None, django_assert_num_queries: Any
) -> None:
    without = [app for app in INSTALLED_APPS if app != "djstripe"]
    with django_assert_num_queries(0):
        assert plan_prices([]) == {}
        assert plan_prices([plan("free", None)]) == {"free": []}
        with override_settings(INSTALLED_APPS=without):
            assert plan_prices([TEAM]) == {"team": [PlanPrice("price_t", None, None)]}

"""A fake Stripe that knows this project: its webhook, the prices of its plans, its owners as buyers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import models

from usage_credits import conf
from usage_credits.billing.stripe_customers import ensure_customer
from usage_credits.dsl.packs import CreditPack
from usage_credits.dsl.periods import Period
from usage_credits.dsl.plans import SINGLE_PRICE, SubscriptionPlan
from usage_credits.exceptions import InvalidValue
from usage_credits.testing.fake_stripe import FakeStripe, use_fake_stripe
from usage_credits.testing.fake_stripe.store import Payload
from usage_credits.testing.webhooks import receive_webhooks

Prices = Mapping[str, int | Mapping[str, Any]]
"""Price ids with their amount in minor units, or with the arguments of `FakeStripe.add_price`."""

_RETURN = {"success_url": "https://shop.test/thanks", "cancel_url": "https://shop.test/back"}


class StripeWorld:
    """Owners who buy at the fake Stripe, and Stripe that tells of it; `fake` is the fake itself.

    Get one from the fixture `stripe_world` or from `use_stripe_world`. Whatever it announces goes as signed events to
    this project's webhook, unless `deliver` is False: then they wait for `deliver()`. Raises AssertionError for an
    event that is not answered 2xx, LookupError for a pack or plan that settings do not have.
    """

    def __init__(self, fake: FakeStripe, prices: Prices | None = None) -> None:
        self.fake = fake
        self._prices = dict(prices or {})
        self.add_prices()

    def add_prices(self) -> None:
        """Let the fake know the prices of all plans that it does not know yet, and those given by hand.

        A price that was not given costs as many minor units of DEFAULT_CURRENCY as the plan awards credits in a period
        of its own, and is billed by the key it has in `stripe_price`; a single one by the period of the plan.
        """
        known = {price["id"] for price in self.fake.all("price")}
        for price_id, options in {**_prices_of_plans(), **self._prices}.items():
            if price_id not in known:
                given = {"amount": options} if isinstance(options, int) else dict(options)
                self.fake.add_price(price_id, **given)

    def deliver(self) -> None:
        """Deliver every event that waits, and those that this leads to."""
        deliver_all(self.fake)

    def buy(
        self,
        owner: models.Model,
        pack: str | CreditPack,
        *,
        deliver: bool = True,
        delayed: bool = False,
        promotion_code: str | None = None,
        **options: Any,
    ) -> Payload:
        """Check a pack out as `owner`, pay by card and return the session; `delayed` money comes with `fake.settle`.

        `options` are those of `pack.create_checkout_session`.
        """
        sold = _find(pack, conf.current().catalogue.packs, "CREDIT_PACKS")
        session = sold.create_checkout_session(owner, **{**_RETURN, **options})
        paid = self.fake.pay(session.id, delayed=delayed, promotion_code=promotion_code)
        return self._told(paid, deliver=deliver)

    def subscribe(
        self,
        owner: models.Model,
        plan: str | SubscriptionPlan,
        *,
        period: Any = None,
        quantity: int = 1,
        deliver: bool = True,
        **options: Any,
    ) -> Payload:
        """Check a plan out as `owner`, pay by card and return the subscription.

        `period` chooses among several prices. `options` are those of `plan.create_checkout_session`, such as
        `subscription_data={"trial_period_days": 14}`.
        """
        self.add_prices()
        sold = _find(plan, conf.current().catalogue.plans, "SUBSCRIPTION_PLANS")
        session = sold.create_checkout_session(
            owner, period=period, quantity=quantity, **{**_RETURN, **options}
        )
        paid = self.fake.pay(session.id)
        return self._told(self.fake.get("subscription", paid["subscription"]), deliver=deliver)

    def refund(self, session: Any, amount: int | None = None, *, deliver: bool = True) -> Payload:
        """Give the money of a bought pack back, `amount` in minor units or all of it; return the refund."""
        paid = self.fake.get("checkout.session", session)
        charge = self.fake.get("payment_intent", paid["payment_intent"])["latest_charge"]
        return self._told(self.fake.refund(charge, amount), deliver=deliver)

    def customer_of(self, owner: models.Model) -> Payload:
        """Return the owner's Stripe customer, created where there is none: for `fake.fail_card` and the like."""
        return self.fake.get("customer", ensure_customer(owner))

    def _told(self, happened: Payload, *, deliver: bool) -> Payload:
        if deliver:
            self.deliver()
        return happened


@contextmanager
def use_stripe_world(
    prices: Prices | None = None, *, enabled_events: Iterable[str] | None = None
) -> Iterator[StripeWorld]:
    """Make stripe-python talk to a new fake, with this project's webhook and prices; yield its world.

    `prices` are price ids with their amount in minor units, or with the arguments of `FakeStripe.add_price`;
    `enabled_events` are those of `receive_webhooks`. Needs a database and any STRIPE_TEST_SECRET_KEY.
    """
    with use_fake_stripe(FakeStripe()) as fake:
        receive_webhooks(enabled_events=enabled_events)
        yield StripeWorld(fake, prices)


def deliver_all(fake: FakeStripe) -> None:
    """Deliver what waits until nothing does; raises AssertionError for what is not answered 2xx."""
    __tracebackhide__ = True
    while statuses := fake.deliver_pending():
        refused = [status for status in statuses if not 200 <= status < 300]
        if refused:
            types = ", ".join(event["type"] for event in fake.pending)
            raise AssertionError(f"The webhook answered {refused} to {types}: the log tells why.")


def _find(wanted: Any, defined: tuple[Any, ...], key: str) -> Any:
    name = str(getattr(wanted, "name", wanted))
    for one in defined:
        if one.name == name:
            return one
    allowed = ", ".join(repr(one.name) for one in defined) or "none"
    raise LookupError(f"got {name!r}, {key} has {allowed}.")


def _prices_of_plans() -> dict[str, dict[str, Any]]:
    return {
        price_id: {
            "amount": plan.amount,
            "currency": conf.current().default_currency,
            **_billing(plan, key),
        }
        for plan in conf.current().catalogue.plans
        for key, price_id in plan.prices.items()
    }


def _billing(plan: SubscriptionPlan, key: str) -> dict[str, Any]:
    """Return the interval of a price, a month where its key is no period that Stripe could bill."""
    try:
        period = plan.period if key == SINGLE_PRICE else Period.parse(key)
    except InvalidValue:
        period = Period(months=1)
    if period.months and not period.rest:
        years, months = divmod(period.months, 12)
        if months == 0:
            return {"interval": "year", "interval_count": years}
        return {"interval": "month", "interval_count": period.months}
    days, seconds = divmod(period.rest.total_seconds(), 24 * 60 * 60)
    if days and not seconds and not period.months:
        return {"interval": "day", "interval_count": int(days)}
    return {"interval": "month"}

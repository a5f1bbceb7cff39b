"""Start checkouts and settle them: what is sold decides the parameters, Stripe makes the session."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.db import models

from usage_credits.billing.checkout_results import CheckoutResult
from usage_credits.billing.owner_references import reference_to
from usage_credits.billing.pack_checkout import pack_parameters
from usage_credits.billing.plan_checkout import plan_parameters
from usage_credits.billing.providers import STRIPE, require_provider
from usage_credits.dsl.packs import CreditPack
from usage_credits.dsl.plans import SubscriptionPlan
from usage_credits.exceptions import InvalidValue
from usage_credits.twins import twin

PARAMETERS: dict[type, Callable[..., dict[str, Any]]] = {
    CreditPack: pack_parameters,
    SubscriptionPlan: plan_parameters,
}
"""What can be sold, and what gives the parameters of its checkout session."""

_SESSION_ID = re.compile(r"cs_\w{1,250}", re.ASCII)


def create_checkout_session(
    sellable: object,
    owner: models.Model,
    *,
    period: object = None,
    quantity: object = 1,
    provider: object = STRIPE,
    **options: Any,
) -> Any:
    """Create the Stripe checkout session in which `owner` buys `sellable`; its `url` is where the buyer pays.

    `period` chooses among the prices of a plan that has several; a plan with a single price takes none. `quantity` is
    the seats of a subscription, a whole number from 1 up; a pack is sold one at a time. `options` are arguments of
    `stripe.checkout.Session.create` (success_url, cancel_url, allow_promotion_codes, …) and are passed through, except
    what the sale decides itself: `mode`, `line_items` and our keys in metadata. Without `customer`, `customer_email`
    or `customer_creation` the owner's Stripe customer is used, created where there is none.

    Raises InvalidValue for what cannot be sold so and for an owner that is not saved, ImproperlyConfigured where
    dj-stripe is not installed, stripe.StripeError where Stripe refuses. Awards nothing: the webhook does that, or
    `settle_checkout`.
    """
    parameters_of = PARAMETERS.get(type(sellable))
    if parameters_of is None:
        allowed = " or ".join(kind.__name__ for kind in PARAMETERS)
        raise InvalidValue.of("sellable", sellable, f"a {allowed}: nothing else is sold through Stripe")
    require_provider(provider)
    # dj-stripe's models can be imported only where it is installed.
    from usage_credits.billing.stripe_sessions import create_session

    parameters = parameters_of(sellable, owner, options, period=period, quantity=quantity)
    return create_session(owner, parameters)


def settle_checkout(session_id: str, owner: models.Model) -> CheckoutResult:
    """Settle the checkout session that `owner` comes back from, and return what became of it.

    For a page to which the buyer returns, often before Stripe's webhook: does at once what the webhook does, by the
    same code, so that whichever comes first awards and the other finds it done. The result's `status` is "credited",
    "processing" (the money is on its way, or Stripe does not answer) or "unpaid"; `credits` says how many came,
    `fulfillment` stands for the purchase or subscription. Commits with the caller's transaction, else by itself.

    Raises InvalidValue, always the same one, for what is no session id and for a session that is not this owner's or
    not of a pack or plan, and one for an owner that is not saved; ImproperlyConfigured where dj-stripe is not
    installed.
    """
    require_provider()
    reference = reference_to(owner)
    # dj-stripe's models can be imported only where it is installed.
    from usage_credits.billing.stripe_returns import settle_return

    result = settle_return(session_id, reference) if _SESSION_ID.fullmatch(str(session_id)) else None
    if result is None:
        raise InvalidValue("session_id", f"{owner} has no such checkout.")
    return result


asettle_checkout = twin(settle_checkout)

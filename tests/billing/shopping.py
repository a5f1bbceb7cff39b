"""What the tests of billing do as a buyer: check out, pay, and let Stripe tell of it."""

from __future__ import annotations

from typing import Any

import stripe
from django.conf import settings
from django.db import models

from usage_credits import find_credit_pack, find_subscription_plan
from usage_credits.testing import FakeStripe

RETURN: dict[str, Any] = {"success_url": "https://shop.test/thanks", "cancel_url": "https://shop.test/back"}


def check_out(owner: models.Model, pack: str = "starter", **options: Any) -> stripe.checkout.Session:
    sold = find_credit_pack(pack)
    assert sold
    session: stripe.checkout.Session = sold.create_checkout_session(owner, **{**RETURN, **options})
    return session


def check_out_plan(owner: models.Model, plan: str = "pro", **options: Any) -> stripe.checkout.Session:
    sold = find_subscription_plan(plan)
    assert sold
    session: stripe.checkout.Session = sold.create_checkout_session(owner, **{**RETURN, **options})
    return session


def sent(fake: FakeStripe, path: str = "/v1/checkout/sessions") -> dict[str, Any]:
    """Return the parameters of the latest session."""
    return [request.params for request in fake.requests if (request.method, request.path) == ("post", path)][
        -1
    ]


def buy(fake: FakeStripe, owner: models.Model, pack: str = "starter", **options: Any) -> dict[str, Any]:
    """Check out, pay by card and deliver what announces it; return the session."""
    session = fake.pay(check_out(owner, pack, **options).id)
    assert announce(fake, session) == [200, 200, 200]
    return session


def announce(fake: FakeStripe, purchase: Any) -> list[int]:
    """Deliver each event that announces the purchase once; return the answers."""
    return [status for event in fake.events_for(purchase) for status in fake.deliver(event)]


def pay_directly(metadata: dict[str, str], **options: Any) -> stripe.PaymentIntent:
    """Take a payment as code of the project's own would, without checkout."""
    arguments: dict[str, Any] = {"amount": 4_900, "currency": "usd", "confirm": True, "metadata": metadata}
    return stripe.PaymentIntent.create(**{**arguments, **options}, api_key=settings.STRIPE_TEST_SECRET_KEY)


def pack_metadata(owner: models.Model, **changes: str) -> dict[str, str]:
    """Return what checkout records of the pack starter, with changes."""
    pack = find_credit_pack("starter")
    assert pack
    return {**pack.base_metadata(), "usage_credits_owner": f"{owner._meta.label_lower}:{owner.pk}", **changes}


def charge_of(fake: FakeStripe, session: dict[str, Any]) -> dict[str, Any]:
    """Return the charge of a paid checkout session: the fake's own object."""
    return fake.get("charge", fake.get("payment_intent", session["payment_intent"])["latest_charge"])


def give_back(fake: FakeStripe, session: dict[str, Any], *amounts: int) -> None:
    """Refund these amounts of a purchase, one after the other, and deliver all that announces each."""
    for amount in amounts:
        fake.refund(charge_of(fake, session), amount)
        assert set(fake.deliver_pending()) == {200}

"""What the tests of automatic recharges do: give owners cards, and look at what was charged."""

from __future__ import annotations

from typing import Any

from django.db import models

from usage_credits import recharge_if_due
from usage_credits.billing.stripe_customers import ensure_customer
from usage_credits.models import Recharge
from usage_credits.testing import FakeStripe

INTENTS = "/v1/payment_intents"


def give_card(fake: FakeStripe, owner: models.Model) -> dict[str, Any]:
    """Give the owner's Stripe customer a default card; return the payment method."""
    return fake.add_card(ensure_customer(owner))


def recharge(owner: Any) -> Recharge | None:
    """Recharge the owner's wallet if that is due."""
    return recharge_if_due(owner.wallet())


def recharged(owner: Any) -> Recharge:
    """Recharge the owner's wallet, which is due."""
    made = recharge(owner)
    assert made
    return made


def charges(fake: FakeStripe) -> list[dict[str, Any]]:
    """Return the payments that went through."""
    return [intent for intent in fake.all("payment_intent") if intent["status"] == "succeeded"]


def deliver(fake: FakeStripe) -> None:
    assert set(fake.deliver_pending()) <= {200}

"""What the tests of plan changes do: change what a subscription is for, let time pass, hear of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.billing.subscribing import Notices
from usage_credits.models import Fulfillment
from usage_credits.testing import FakeStripe

COLLECTED = timedelta(hours=1)
"""After how long Stripe collects the invoice of a renewal."""

PRO = [("subscription_signup_bonus", 100), ("subscription_credits", 500)]
PREM = [("subscription_signup_bonus", 200), ("subscription_credits", 2_000)]


def day(month: int, day: int, year: int = 2026) -> datetime:
    return datetime(year, month, day, tzinfo=UTC)


class Changes(Notices):
    """Changes of plans that the seller has prorated, invoiced at once, or neither, and how Stripe tells of them.

    Without prorations nothing but the subscription tells of a change.
    """

    def __init__(self, fake: FakeStripe, shape: str) -> None:
        super().__init__(fake, shape)
        self.prorations = "create_prorations"
        if "invoiced" in shape:
            self.prorations = "always_invoice"
        elif self.is_state_alone or "unprorated" in shape:
            self.prorations = "none"

    def change(self, subscription: dict[str, Any], price: str | None = None, **options: Any) -> None:
        """Change the price or the quantity of a subscription and hear of it."""
        self.fake.change_plan(subscription, price, proration_behavior=self.prorations, **options)
        self.deliver()

    def meet(self, clock: Any, subscription: dict[str, Any], moment: datetime) -> None:
        """Let time pass until what Stripe begins at `moment` is paid, hear of it, and again of how things are."""
        clock.move_to(moment + COLLECTED)
        self.fake.catch_up()
        self.deliver()
        self.repeat(subscription)


def plans_of(fulfillment: Fulfillment) -> tuple[str, str, datetime | None]:
    """Return the current plan, the pending one and from when on it counts."""
    return fulfillment.plan_name, fulfillment.pending_plan, fulfillment.pending_from

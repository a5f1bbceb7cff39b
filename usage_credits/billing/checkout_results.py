"""What became of a checkout by the time its buyer comes back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from usage_credits.models import Fulfillment


class CheckoutStatus(StrEnum):
    CREDITED = "credited"
    """It is settled: the pack was awarded, the subscription has begun."""
    PROCESSING = "processing"
    """The buyer has done all, or Stripe did not answer: the webhook settles it."""
    UNPAID = "unpaid"
    """It was not completed, or its payment failed."""


@dataclass(frozen=True)
class CheckoutResult:
    """The status of a checkout, and the fulfillment that stands for it once it is credited."""

    status: CheckoutStatus
    fulfillment: Fulfillment | None = None

    @property
    def credits(self) -> int:
        """Return the credits that were awarded last by it; 0 also for a subscription whose first are yet to come."""
        return self.fulfillment.credits_last_awarded if self.fulfillment else 0

"""What the studio's shop does otherwise than the one of usage_credits."""

from __future__ import annotations

from typing import Any

from usage_credits import CreditPack, SubscriptionPlan
from usage_credits.views import BuyPackView


class BuyAndSaveCard(BuyPackView):
    """Let Stripe keep the card, so that it can pay for automatic recharges."""

    def get_options(self, sold: CreditPack | SubscriptionPlan) -> dict[str, Any]:
        return {"payment_intent_data": {"setup_future_usage": "off_session"}}

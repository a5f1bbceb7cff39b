"""The names of the lifecycle events, shared by the signals and the CALLBACKS setting."""

from __future__ import annotations

from typing import Final

EVENTS: Final[tuple[str, ...]] = (
    "credits_added",
    "credits_deducted",
    "credits_expired",
    "low_balance_reached",
    "balance_depleted",
    "balance_recovered",
    "insufficient_credits",
    "transfer_completed",
    "hold_placed",
    "hold_captured",
    "hold_released",
    "credit_pack_purchased",
    "credits_refunded",
    "subscription_credits_awarded",
    "fulfillment_failed",
    "recharge_succeeded",
    "recharge_failed",
)
"""Every event that can be listened to, in the order in which they are documented."""

"""The categories a transaction may have without any configuration."""

from __future__ import annotations

from typing import Final

SIGNUP_BONUS: Final = "signup_bonus"
REFERRAL_BONUS: Final = "referral_bonus"
BONUS: Final = "bonus"
SUBSCRIPTION_CREDITS: Final = "subscription_credits"
SUBSCRIPTION_TRIAL: Final = "subscription_trial"
SUBSCRIPTION_SIGNUP_BONUS: Final = "subscription_signup_bonus"
SUBSCRIPTION_UPGRADE: Final = "subscription_upgrade"
ROLLOVER_EXCESS: Final = "rollover_excess"
SUBSCRIPTION_REFUND: Final = "subscription_refund"
CREDIT_PACK: Final = "credit_pack"
CREDIT_PACK_PURCHASE: Final = "credit_pack_purchase"
CREDIT_PACK_REFUND: Final = "credit_pack_refund"
OPERATION_CHARGE: Final = "operation_charge"
MANUAL_ADJUSTMENT: Final = "manual_adjustment"
CREDIT_ADDED: Final = "credit_added"
CREDIT_DEDUCTED: Final = "credit_deducted"
TRANSFER_IN: Final = "transfer_in"
TRANSFER_OUT: Final = "transfer_out"
EXPIRATION: Final = "expiration"
REVERSAL: Final = "reversal"

REFUNDS: Final = (CREDIT_PACK_REFUND, SUBSCRIPTION_REFUND)
"""What refunds and lost disputes take back, and give back when they are undone."""

AWARDS: Final = frozenset(
    {SUBSCRIPTION_CREDITS, SUBSCRIPTION_TRIAL, SUBSCRIPTION_UPGRADE, CREDIT_PACK, CREDIT_PACK_PURCHASE}
)
"""What packs and plans award, their bonuses aside: a share of the last award is a share of these."""

MAX_CATEGORY: Final = 100
"""The longest name of a category, in characters."""

DEFAULT_CATEGORIES: Final[tuple[str, ...]] = (
    SIGNUP_BONUS,
    REFERRAL_BONUS,
    BONUS,
    SUBSCRIPTION_CREDITS,
    SUBSCRIPTION_TRIAL,
    SUBSCRIPTION_SIGNUP_BONUS,
    SUBSCRIPTION_UPGRADE,
    ROLLOVER_EXCESS,
    SUBSCRIPTION_REFUND,
    CREDIT_PACK,
    CREDIT_PACK_PURCHASE,
    CREDIT_PACK_REFUND,
    OPERATION_CHARGE,
    MANUAL_ADJUSTMENT,
    CREDIT_ADDED,
    CREDIT_DEDUCTED,
    TRANSFER_IN,
    TRANSFER_OUT,
    EXPIRATION,
    REVERSAL,
)
"""Accepted in every project; ADDITIONAL_CATEGORIES adds to them and takes none away."""


def category_of_grant(reason: object) -> str:
    """Return the category that a grant's reason stands for; letter case does not matter."""
    folded = str(reason or "").casefold()
    if folded == "signup":
        return SIGNUP_BONUS
    if folded == "referral":
        return REFERRAL_BONUS
    return BONUS if "bonus" in folded else MANUAL_ADJUSTMENT

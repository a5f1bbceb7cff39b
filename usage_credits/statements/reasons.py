"""Say to people why a plan rests, and why a recharge failed or recharging was stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

REASONS: Final[Mapping[str, Any]] = {
    # of plans
    "incomplete": _("the first payment is not made yet"),
    "past_due": _("the last payment failed"),
    "paused": _("paused"),
    "plan_without_credits": _("changed to a plan without credits"),
    "unpaid": _("the last payments failed"),
    # of recharges
    "authentication_required": _("the bank wants you to confirm it"),
    "card_declined": _("the card was declined"),
    "expired_card": _("the card has expired"),
    "insufficient_funds": _("the card has not enough funds"),
    "missing": _("the payment was not found"),
    "no_owner": _("the wallet has no owner any more"),
    "no_payment_method": _("no card is saved"),
    "not_sent": _("it could not be sent"),
    "other_wallet": _("another wallet is used now"),
    "pack_changed": _("the pack has changed"),
    "refunded": _("a payment was refunded"),
    "stopped": _("stopped"),
}
"""What Stripe's decline codes leave out here is shown as it is."""


def reason_text(code: str) -> str:
    """Return a reason in the active language; a code that is none of ours in its own words."""
    return str(REASONS.get(code) or code.replace("_", " "))

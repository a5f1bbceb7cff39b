"""Mails to users, sent when usage_credits tells of something; settings name these functions in CALLBACKS."""

from __future__ import annotations

from typing import Any

from studio.models import User
from usage_credits.conf import current
from usage_credits.signals import EventContext


def warn_of_low_balance(*, context: EventContext, **kwargs: Any) -> None:
    """Write to the user whose balance came down to a threshold of the settings."""
    left = context.new_balance or 0
    if not (context.metadata and "share" in context.metadata):
        _write(context, "Your credits are running low", f"{left} credits are left.")
    # Below the lowest threshold the other mail says enough.
    elif left > (current().low_balance_threshold or 0):
        _write(context, "Most of your credits are used", f"{left} of what you got last are left.")


def tell_of_recharge(*, context: EventContext, **kwargs: Any) -> None:
    """Write to the user whose card was charged while they were not there."""
    _write(context, "Credits were bought for you", f"Your saved card paid for {context.amount} credits.")


def tell_of_failed_recharge(*, context: EventContext, **kwargs: Any) -> None:
    """Write to the user whose card was declined, and who may soon be without credits."""
    _write(context, "Your card was declined", f"No credits could be bought for you ({context.reason}).")


def _write(context: EventContext, subject: str, text: str) -> None:
    if isinstance(context.owner, User) and context.owner.email:
        context.owner.email_user(subject, text)

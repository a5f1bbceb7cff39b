"""Name categories, operations, packs and plans for people, in the active language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from usage_credits.dsl import categories

LABELS: Final[Mapping[str, Any]] = {
    categories.SIGNUP_BONUS: _("Signup Bonus"),
    categories.REFERRAL_BONUS: _("Referral Bonus"),
    categories.BONUS: _("Bonus"),
    categories.SUBSCRIPTION_CREDITS: _("Subscription Credits"),
    categories.SUBSCRIPTION_TRIAL: _("Subscription Trial"),
    categories.SUBSCRIPTION_SIGNUP_BONUS: _("Subscription Signup Bonus"),
    categories.SUBSCRIPTION_UPGRADE: _("Subscription Upgrade"),
    categories.ROLLOVER_EXCESS: _("Rollover Excess"),
    categories.SUBSCRIPTION_REFUND: _("Subscription Refund"),
    categories.CREDIT_PACK: _("Credit Pack"),
    categories.CREDIT_PACK_PURCHASE: _("Credit Pack Purchase"),
    categories.CREDIT_PACK_REFUND: _("Credit Pack Refund"),
    categories.OPERATION_CHARGE: _("Operation Charge"),
    categories.MANUAL_ADJUSTMENT: _("Manual Adjustment"),
    categories.CREDIT_ADDED: _("Credit Added"),
    categories.CREDIT_DEDUCTED: _("Credit Deducted"),
    categories.TRANSFER_IN: _("Transfer In"),
    categories.TRANSFER_OUT: _("Transfer Out"),
    categories.EXPIRATION: _("Expiration"),
    categories.REVERSAL: _("Reversal"),
}
"""The default categories; in English, their names in title case."""


def label(name: str) -> str:
    """Return the name for people: "Process Video" for "process_video".

    What is no default category was named by the project, and is looked up in its translations by that text.
    """
    known = LABELS.get(name)
    return str(known) if known is not None else _translated(str(name).replace("_", " ").title())


def _translated(title: str) -> str:
    # The translation of nothing is the header of the catalogue.
    return gettext(title) if title else ""

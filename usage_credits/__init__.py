"""Prepaid credits for Django: wallets, an append-only ledger, priced operations, packs and plans sold through Stripe.

Names are resolved on first use, so that settings.py can import the definitions before any model can be loaded.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from usage_credits.version import __version__

if TYPE_CHECKING:
    from usage_credits.billing.checkout import settle_checkout
    from usage_credits.billing.grants import start_grant, stop_grant
    from usage_credits.billing.plans import change_plan, keep_plan, start_plan, stop_plan
    from usage_credits.billing.portal import create_portal_session
    from usage_credits.conf import find_credit_pack, find_subscription_plan
    from usage_credits.dsl.costs import credits
    from usage_credits.dsl.money import Money, cents, dollars, euros, pounds
    from usage_credits.dsl.operations import Operation
    from usage_credits.dsl.packs import CreditPack
    from usage_credits.dsl.plans import SubscriptionPlan
    from usage_credits.dsl.wallet_options import WalletOptions
    from usage_credits.exceptions import (
        AppendOnlyError,
        CapExceeded,
        HoldNotOpen,
        IdempotencyConflict,
        InsufficientCredits,
        InvalidAmount,
        InvalidOperation,
        InvalidTransfer,
        InvalidValue,
        UsageCreditsError,
        WalletNotFound,
    )
    from usage_credits.ledger.stats import ledger_stats
    from usage_credits.ledger.usage import key_spend, usage_summary
    from usage_credits.ledger.wallets import detach_owner
    from usage_credits.owners import HasWallet, with_credits

_HOMES = {
    "billing.checkout": ("settle_checkout",),
    "billing.grants": ("start_grant", "stop_grant"),
    "billing.plans": ("change_plan", "keep_plan", "start_plan", "stop_plan"),
    "billing.portal": ("create_portal_session",),
    "conf": ("find_credit_pack", "find_subscription_plan"),
    "dsl.costs": ("credits",),
    "dsl.money": ("Money", "cents", "dollars", "euros", "pounds"),
    "dsl.operations": ("Operation",),
    "dsl.packs": ("CreditPack",),
    "dsl.plans": ("SubscriptionPlan",),
    "dsl.wallet_options": ("WalletOptions",),
    "exceptions": (
        "AppendOnlyError",
        "CapExceeded",
        "HoldNotOpen",
        "IdempotencyConflict",
        "InsufficientCredits",
        "InvalidAmount",
        "InvalidOperation",
        "InvalidTransfer",
        "InvalidValue",
        "UsageCreditsError",
        "WalletNotFound",
    ),
    "ledger.wallets": ("detach_owner",),
    "ledger.stats": ("ledger_stats",),
    "ledger.usage": ("key_spend", "usage_summary"),
    "owners": ("HasWallet", "with_credits"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AppendOnlyError",
    "CapExceeded",
    "CreditPack",
    "HasWallet",
    "HoldNotOpen",
    "IdempotencyConflict",
    "InsufficientCredits",
    "InvalidAmount",
    "InvalidOperation",
    "InvalidTransfer",
    "InvalidValue",
    "Money",
    "Operation",
    "SubscriptionPlan",
    "UsageCreditsError",
    "WalletNotFound",
    "WalletOptions",
    "__version__",
    "cents",
    "change_plan",
    "create_portal_session",
    "credits",
    "detach_owner",
    "dollars",
    "euros",
    "find_credit_pack",
    "find_subscription_plan",
    "keep_plan",
    "key_spend",
    "ledger_stats",
    "pounds",
    "settle_checkout",
    "start_grant",
    "start_plan",
    "stop_grant",
    "stop_plan",
    "usage_summary",
    "with_credits",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

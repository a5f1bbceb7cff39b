"""Prepaid credits for Django: wallets, an append-only ledger, priced operations, packs and plans sold through Stripe.

Names are resolved on first use, so that settings.py can import the definitions before any model can be loaded.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from usage_credits.version import __version__

if TYPE_CHECKING:
    from usage_credits.billing.checkout import asettle_checkout, settle_checkout
    from usage_credits.billing.grants import astart_grant, astop_grant, start_grant, stop_grant
    from usage_credits.billing.plans import (
        achange_plan,
        akeep_plan,
        astart_plan,
        astop_plan,
        change_plan,
        keep_plan,
        start_plan,
        stop_plan,
    )
    from usage_credits.billing.portal import acreate_portal_session, create_portal_session
    from usage_credits.billing.recharge import arecharge_if_due, recharge_if_due
    from usage_credits.conf import find_credit_pack, find_subscription_plan
    from usage_credits.dsl.costs import credits
    from usage_credits.dsl.money import Money, cents, dollars, euros, pounds
    from usage_credits.dsl.operations import Operation
    from usage_credits.dsl.packs import CreditPack
    from usage_credits.dsl.plans import SubscriptionPlan
    from usage_credits.dsl.token_prices import token_prices
    from usage_credits.dsl.token_rates import token_rates
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
    from usage_credits.gates import CreditsRequiredMixin, charges_credits, requires_credits
    from usage_credits.ledger.stats import aledger_stats, ledger_stats
    from usage_credits.ledger.usage import akey_spend, ausage_summary, key_spend, usage_summary
    from usage_credits.ledger.wallets import adetach_owner, detach_owner, with_credits
    from usage_credits.owners import HasWallet

_HOMES = {
    "billing.checkout": ("asettle_checkout", "settle_checkout"),
    "billing.grants": ("astart_grant", "astop_grant", "start_grant", "stop_grant"),
    "billing.plans": (
        "achange_plan",
        "akeep_plan",
        "astart_plan",
        "astop_plan",
        "change_plan",
        "keep_plan",
        "start_plan",
        "stop_plan",
    ),
    "billing.portal": ("acreate_portal_session", "create_portal_session"),
    "billing.recharge": ("arecharge_if_due", "recharge_if_due"),
    "conf": ("find_credit_pack", "find_subscription_plan"),
    "dsl.costs": ("credits",),
    "dsl.money": ("Money", "cents", "dollars", "euros", "pounds"),
    "dsl.operations": ("Operation",),
    "dsl.packs": ("CreditPack",),
    "dsl.plans": ("SubscriptionPlan",),
    "dsl.token_prices": ("token_prices",),
    "dsl.token_rates": ("token_rates",),
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
    "gates": ("CreditsRequiredMixin", "charges_credits", "requires_credits"),
    "ledger.wallets": ("adetach_owner", "detach_owner", "with_credits"),
    "ledger.stats": ("aledger_stats", "ledger_stats"),
    "ledger.usage": ("akey_spend", "ausage_summary", "key_spend", "usage_summary"),
    "owners": ("HasWallet",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AppendOnlyError",
    "CapExceeded",
    "CreditPack",
    "CreditsRequiredMixin",
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
    "achange_plan",
    "acreate_portal_session",
    "adetach_owner",
    "akeep_plan",
    "akey_spend",
    "aledger_stats",
    "arecharge_if_due",
    "asettle_checkout",
    "astart_grant",
    "astart_plan",
    "astop_grant",
    "astop_plan",
    "ausage_summary",
    "cents",
    "change_plan",
    "charges_credits",
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
    "recharge_if_due",
    "requires_credits",
    "settle_checkout",
    "start_grant",
    "start_plan",
    "stop_grant",
    "stop_plan",
    "token_prices",
    "token_rates",
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

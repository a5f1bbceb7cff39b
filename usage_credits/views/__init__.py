"""The pages of the app: class-based views to be included as they are, or subclassed."""

from __future__ import annotations

from usage_credits.views.checkout_return import CheckoutReturnView
from usage_credits.views.checkouts import BuyPackView, ManageSubscriptionView, SubscribeView
from usage_credits.views.owners import OwnerMixin
from usage_credits.views.recharge import RechargeView
from usage_credits.views.shop import ShopView
from usage_credits.views.statement import StatementCsvView, StatementView
from usage_credits.views.wallet import WalletView

__all__ = [
    "BuyPackView",
    "CheckoutReturnView",
    "ManageSubscriptionView",
    "OwnerMixin",
    "RechargeView",
    "ShopView",
    "StatementCsvView",
    "StatementView",
    "SubscribeView",
    "WalletView",
]

"""The ledger to look at: every model, read-only; a wallet is changed by adjusting it, which posts a transaction."""

from __future__ import annotations

from usage_credits.admin.caps import SpendingCapAdmin
from usage_credits.admin.debts import DebtAdmin
from usage_credits.admin.fulfillments import FulfillmentAdmin
from usage_credits.admin.holds import HeldLotAdmin, HoldAdmin
from usage_credits.admin.key_aliases import KeyAliasAdmin
from usage_credits.admin.lots import AllocationAdmin, LotAdmin
from usage_credits.admin.payment_notices import PaymentNoticeAdmin
from usage_credits.admin.recharges import RechargeAdmin, RechargeSettingAdmin
from usage_credits.admin.transactions import TransactionAdmin
from usage_credits.admin.transfers import TransferAdmin
from usage_credits.admin.wallets import WalletAdmin

__all__ = [
    "AllocationAdmin",
    "DebtAdmin",
    "FulfillmentAdmin",
    "HeldLotAdmin",
    "HoldAdmin",
    "KeyAliasAdmin",
    "LotAdmin",
    "PaymentNoticeAdmin",
    "RechargeAdmin",
    "RechargeSettingAdmin",
    "SpendingCapAdmin",
    "TransactionAdmin",
    "TransferAdmin",
    "WalletAdmin",
]

"""What is stored: truth (transactions, allocations, transfers), state, and projections of them."""

from __future__ import annotations

from usage_credits.models.allocation import Allocation
from usage_credits.models.cap import SpendingCap
from usage_credits.models.debt import Debt
from usage_credits.models.fulfillment import MANUAL_SOURCE, Fulfillment, FulfillmentKind
from usage_credits.models.hold import HeldLot, Hold
from usage_credits.models.key_alias import KeyAlias
from usage_credits.models.lot import Lot
from usage_credits.models.payment_notice import NoticeReason, PaymentNotice
from usage_credits.models.recharge import Recharge, RechargeSetting, RechargeState
from usage_credits.models.transaction import Transaction
from usage_credits.models.transfer import ExpirationPolicy, Transfer
from usage_credits.models.wallet import Wallet

__all__ = [
    "MANUAL_SOURCE",
    "Allocation",
    "Debt",
    "ExpirationPolicy",
    "Fulfillment",
    "FulfillmentKind",
    "HeldLot",
    "Hold",
    "KeyAlias",
    "Lot",
    "NoticeReason",
    "PaymentNotice",
    "Recharge",
    "RechargeSetting",
    "RechargeState",
    "SpendingCap",
    "Transaction",
    "Transfer",
    "Wallet",
]

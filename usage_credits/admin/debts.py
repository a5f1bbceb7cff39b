"""Debts: what refunds and reversals could not take back."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from usage_credits.admin.base import OwnedAdmin
from usage_credits.admin.filters import SettlementFilter, WalletAssetFilter, WalletOwnerModelFilter
from usage_credits.models import Debt


@admin.register(Debt)
class DebtAdmin(OwnedAdmin[Debt]):
    related = ("wallet__owner_type", "fulfillment", "reverses")
    list_display = ("id", "created_at", "owner", "wallet", "open_amount", "amount", "fulfillment", "payment")
    list_filter = (SettlementFilter, WalletAssetFilter, WalletOwnerModelFilter, "created_at")
    search_fields = ("wallet__owner_id", "wallet__asset", "fulfillment__source_id", "payment")
    search_help_text = _("Debt id, owner id, asset, source id or payment, exactly.")
    fields = (
        "owner",
        "wallet",
        "fulfillment",
        "payment",
        "reverses",
        "amount",
        "open_amount",
        "metadata",
        "created_at",
    )

"""Debts: what clawbacks could not take."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from usage_credits.admin.base import OwnedAdmin
from usage_credits.admin.filters import SettlementFilter, WalletAssetFilter, WalletOwnerModelFilter
from usage_credits.models import Debt


@admin.register(Debt)
class DebtAdmin(OwnedAdmin[Debt]):
    related = ("wallet__owner_type", "fulfillment")
    list_display = ("id", "created_at", "owner", "wallet", "open_amount", "amount", "fulfillment")
    list_filter = (SettlementFilter, WalletAssetFilter, WalletOwnerModelFilter, "created_at")
    search_fields = ("wallet__owner_id", "wallet__asset", "fulfillment__source_id")
    search_help_text = _("Debt id, owner id, asset or source id, exactly.")
    fields = ("owner", "wallet", "fulfillment", "amount", "open_amount", "created_at")

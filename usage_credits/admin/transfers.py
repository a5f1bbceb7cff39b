"""Transfers and their legs."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from usage_credits.admin.base import LedgerAdmin, owner_name
from usage_credits.admin.filters import AssetFilter, CategoryFilter
from usage_credits.admin.tables import Table
from usage_credits.models import Transaction, Transfer


@admin.register(Transfer)
class TransferAdmin(LedgerAdmin[Transfer]):
    related = ("from_wallet__owner_type", "to_wallet__owner_type")
    prefetched = ("from_wallet__owner", "to_wallet__owner")
    list_display = (
        "id",
        "created_at",
        "sender",
        "recipient",
        "amount",
        "asset",
        "category",
        "expiration_policy",
    )
    list_filter = (AssetFilter, CategoryFilter, "expiration_policy", "created_at")
    search_fields = ("from_wallet__owner_id", "to_wallet__owner_id", "asset", "category")
    search_help_text = _("Transfer id, sender's or recipient's owner id, asset or category, exactly.")
    fieldsets = (
        (None, {"fields": ("sender", "from_wallet", "recipient", "to_wallet", "created_at")}),
        (_("Credits"), {"fields": ("amount", "asset", "category", "expiration_policy", "metadata")}),
    )

    def tables(self, request: HttpRequest, obj: Transfer) -> list[Table | None]:
        legs = ("id", "wallet", "signed_amount", "expires_at")
        return [
            self.table(request, _("Legs"), Transaction, legs, ordering=("pk",), transfer__id__exact=obj.pk)
        ]

    @admin.display(description=_("from"))
    def sender(self, transfer: Transfer) -> SafeString:
        return self.link(transfer.from_wallet, owner_name(transfer.from_wallet))

    @admin.display(description=_("to"))
    def recipient(self, transfer: Transfer) -> SafeString:
        return self.link(transfer.to_wallet, owner_name(transfer.to_wallet))

"""Holds and what they keep of which lot."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from usage_credits.admin.base import LedgerAdmin, OwnedAdmin, owner_name
from usage_credits.admin.filters import (
    CategoryFilter,
    ExpiryFilter,
    OperationFilter,
    WalletAssetFilter,
    WalletOwnerModelFilter,
)
from usage_credits.admin.tables import Table
from usage_credits.models import HeldLot, Hold, Transaction


@admin.register(Hold)
class HoldAdmin(OwnedAdmin[Hold]):
    list_display = (
        "id",
        "created_at",
        "owner",
        "wallet",
        "category",
        "amount",
        "captured",
        "is_open",
        "expires_at",
    )
    list_filter = (
        "is_open",
        CategoryFilter,
        OperationFilter,
        ExpiryFilter,
        WalletAssetFilter,
        WalletOwnerModelFilter,
        "created_at",
    )
    search_fields = (
        "idempotency_key",
        "attributed_to",
        "category",
        "operation",
        "wallet__owner_id",
        "wallet__asset",
    )
    search_help_text = _("Hold id, key, attributed to, category, operation, owner id or asset, exactly.")
    fieldsets = (
        (None, {"fields": ("owner", "wallet", "category", "operation", "created_at")}),
        (_("Credits"), {"fields": ("amount", "captured", "is_open", "expires_at")}),
        (_("Where it comes from"), {"fields": ("idempotency_key", "attributed_to", "metadata")}),
    )

    def tables(self, request: HttpRequest, obj: Hold) -> list[Table | None]:
        charged = ("id", "created_at", "description", "signed_amount")
        return [
            self.table(request, _("Held lots"), HeldLot, ("id", "lot", "amount"), hold__id__exact=obj.pk),
            self.table(request, _("Charged"), Transaction, charged, hold__id__exact=obj.pk),
        ]


@admin.register(HeldLot)
class HeldLotAdmin(LedgerAdmin[HeldLot]):
    related = ("hold__wallet__owner_type", "lot")
    prefetched = ("hold__wallet__owner",)
    list_display = ("id", "owner", "hold", "lot", "amount")
    search_fields = ("hold__idempotency_key", "hold__wallet__owner_id")
    search_help_text = _("Held lot id, the hold's key or the owner id, exactly.")
    fields = ("owner", "hold", "lot", "amount")

    @admin.display(description=_("owner"))
    def owner(self, held: HeldLot) -> SafeString:
        return self.link(held.hold.wallet, owner_name(held.hold.wallet))

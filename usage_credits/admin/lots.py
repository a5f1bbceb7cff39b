"""Lots and the allocations that were paid from them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from usage_credits.admin.base import OwnedAdmin
from usage_credits.admin.filters import ExpiryFilter, WalletAssetFilter, WalletOwnerModelFilter
from usage_credits.admin.tables import Table
from usage_credits.models import Allocation, HeldLot, Lot


@admin.register(Lot)
class LotAdmin(OwnedAdmin[Lot]):
    related = ("wallet__owner_type", "transaction")
    list_display = (
        "id",
        "owner",
        "wallet",
        "remaining",
        "amount",
        "state",
        "expires_at",
        "priority",
        "operations",
        "transaction",
    )
    list_filter = ("is_open", ExpiryFilter, WalletAssetFilter, WalletOwnerModelFilter)
    search_fields = ("wallet__owner_id", "wallet__asset", "transaction__idempotency_key")
    search_help_text = _("Lot id, owner id, asset or the credit's key, exactly.")
    fieldsets = (
        (None, {"fields": ("owner", "wallet", "transaction")}),
        (_("Stock"), {"fields": ("remaining", "amount", "is_open")}),
        (_("Spending"), {"fields": ("expires_at", "state", "priority", "operations")}),
    )

    def tables(self, request: HttpRequest, obj: Lot) -> list[Table | None]:
        spent = ("id", "debit", "amount", "spent_at")
        return [
            self.table(request, _("Spent on"), Allocation, spent, lot__id__exact=obj.pk),
            self.table(request, _("Held by"), HeldLot, ("id", "hold", "amount"), lot__id__exact=obj.pk),
        ]

    @admin.display(description=_("only for"))
    def operations(self, lot: Lot) -> str:
        return self.text(lot.scope)

    @admin.display(description=_("state"))
    def state(self, lot: Lot) -> Any:
        if not lot.is_open:
            return _("used up")
        if lot.expires_at is not None and lot.expires_at <= timezone.now():
            return _("expired, not booked yet")
        return _("open")


@admin.register(Allocation)
class AllocationAdmin(OwnedAdmin[Allocation]):
    related = ("wallet__owner_type", "debit", "lot__transaction")
    list_display = ("id", "owner", "wallet", "debit", "lot", "amount", "spent_at")
    list_filter = (WalletAssetFilter, WalletOwnerModelFilter)
    search_fields = ("wallet__owner_id", "wallet__asset", "debit__idempotency_key", "debit__attributed_to")
    search_help_text = _(
        "Allocation id, owner id, asset, the debit's key or whom it is attributed to, exactly."
    )
    fieldsets = (
        (None, {"fields": ("owner", "wallet", "amount", "spent_at")}),
        (_("Debit"), {"fields": ("debit",)}),
        (_("Lot"), {"fields": ("lot", "lot_expires_at", "lot_credit")}),
    )

    @admin.display(description=_("spent at"))
    def spent_at(self, allocation: Allocation) -> str:
        return self.text(allocation.debit.created_at)

    @admin.display(description=_("lot expires at"))
    def lot_expires_at(self, allocation: Allocation) -> str:
        return self.text(allocation.lot.expires_at)

    @admin.display(description=_("credited by"))
    def lot_credit(self, allocation: Allocation) -> SafeString:
        return self.link(allocation.lot.transaction)

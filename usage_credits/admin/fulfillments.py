"""Fulfillments: what was sold to whom, and what came of it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from usage_credits.admin.base import OwnedAdmin
from usage_credits.admin.filters import FulfillmentStateFilter, WalletAssetFilter, WalletOwnerModelFilter
from usage_credits.admin.tables import Table
from usage_credits.models import Debt, Fulfillment, PaymentNotice, Transaction


@admin.register(Fulfillment)
class FulfillmentAdmin(OwnedAdmin[Fulfillment]):
    list_display = (
        "id",
        "created_at",
        "owner",
        "kind",
        "sold",
        "source_id",
        "credits_last_awarded",
        "next_fulfillment_at",
        "is_active",
    )
    list_filter = ("kind", FulfillmentStateFilter, WalletAssetFilter, WalletOwnerModelFilter, "created_at")
    search_fields = ("source_id", "plan_name", "pack_name", "wallet__owner_id", "wallet__asset")
    search_help_text = _("Fulfillment id, source id, plan, pack, owner id or asset, exactly.")
    fieldsets = (
        (None, {"fields": ("owner", "wallet", "kind", "plan_name", "pack_name", "as_sold", "created_at")}),
        (_("Payment"), {"fields": ("source", "source_id", "metadata")}),
        (
            _("Schedule"),
            {
                "fields": (
                    "anchor",
                    "period",
                    "last_fulfilled_at",
                    "credits_last_awarded",
                    "next_fulfillment_at",
                )
            },
        ),
        (
            _("State"),
            {
                "fields": (
                    "is_active",
                    "stops_at",
                    "stop_reason",
                    "pending_plan",
                    "pending_from",
                    "last_error",
                )
            },
        ),
    )

    def tables(self, request: HttpRequest, obj: Fulfillment) -> list[Table | None]:
        mine: dict[str, Any] = {"fulfillment__id__exact": obj.pk}
        awards = ("id", "created_at", "description", "signed_amount", "grid_date", "expires_at")
        return [
            self.table(request, _("Transactions"), Transaction, awards, **mine),
            self.table(request, _("Debts"), Debt, ("id", "open_amount", "amount", "created_at"), **mine),
            self.table(
                request,
                _("Payment notices"),
                PaymentNotice,
                ("id", "reason", "source_id", "resolved_at"),
                **mine,
            ),
        ]

    @admin.display(description=_("sold"))
    def sold(self, fulfillment: Fulfillment) -> str:
        return fulfillment.plan_name or fulfillment.pack_name

    @admin.display(description=_("active"), boolean=True)
    def is_active(self, fulfillment: Fulfillment) -> bool:
        return fulfillment.is_active

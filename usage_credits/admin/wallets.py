"""Wallets: what their owners have now, and the one way to change that by hand."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import NoReverseMatch, path
from django.utils.translation import gettext_lazy as _

from usage_credits.admin.adjustments import adjustment_view
from usage_credits.admin.base import LedgerAdmin, owner_name
from usage_credits.admin.exports import wallet_export
from usage_credits.admin.filters import AssetFilter, OwingFilter, OwnerModelFilter
from usage_credits.admin.manual_postings import may_post
from usage_credits.admin.recharges import ATTEMPTS
from usage_credits.admin.statement import chart_of, coming_table, latest_transactions
from usage_credits.admin.tables import Table
from usage_credits.ledger.balances import with_balances
from usage_credits.models import (
    Debt,
    Fulfillment,
    Hold,
    Lot,
    Recharge,
    RechargeSetting,
    SpendingCap,
    Transaction,
    Wallet,
)

CAPPED = ("id", "attributed_to", "every", "limit", "spent_now", "held", "left", "resets_at")
RECHARGED = ("id", "pack_name", "threshold", "max_per_day", "max_per_month", "is_enabled", "stop_reason")


@admin.register(Wallet)
class WalletAdmin(LedgerAdmin[Wallet]):
    change_form_template = "admin/usage_credits/wallet/change_form.html"
    related = ("owner_type",)
    prefetched = ("owner",)
    list_display = (
        "id",
        "owner",
        "owner_type",
        "asset",
        "balance",
        "held",
        "available",
        "debt",
        "claims",
        "created_at",
    )
    list_display_links = ("id", "owner")
    list_filter = (AssetFilter, OwnerModelFilter, OwingFilter, "created_at")
    search_fields = ("owner_id", "asset")
    search_help_text = _("Owner id, asset or wallet id.")
    fieldsets = (
        (
            None,
            {
                "fields": (("balance", "held", "available", "debt", "claims"),),
                "classes": ("usage-credits-figures",),
            },
        ),
        (_("Wallet"), {"fields": ("owner_link", "owner_type", "owner_id", "asset", "created_at")}),
        (_("As stored"), {"fields": ("booked_balance", "metadata"), "classes": ("collapse",)}),
    )

    class Media:
        css = {"all": ("usage_credits/chart.css",)}

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Wallet]:
        return with_balances(super().get_queryset(request))

    def get_urls(self) -> list[Any]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        view = self.admin_site.admin_view
        return [
            path("<path:object_id>/adjust/", view(self.adjust), name=f"{name}_adjust"),
            path("<path:object_id>/statement.csv", view(self.export), name=f"{name}_statement"),
            *super().get_urls(),
        ]

    def adjust(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return adjustment_view(self, request, object_id)

    def export(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        return wallet_export(self, request, object_id)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        wallet = kwargs.get("obj")
        if wallet is not None:
            context |= {
                "may_adjust": may_post(self, request),
                "may_export": self.may_view(request, Transaction),
                "chart": chart_of(self, request, wallet),
                "coming": coming_table(self, request, wallet),
            }
        return super().render_change_form(request, context, *args, **kwargs)

    def tables(self, request: HttpRequest, obj: Wallet) -> list[Table | None]:
        mine: dict[str, Any] = {"wallet__id__exact": obj.pk}
        lots = ("id", "remaining", "amount", "expires_at", "priority", "operations", "state", "transaction")
        spending_order = ("priority", models.F("expires_at").asc(nulls_last=True), "pk")
        holds = ("id", "created_at", "amount", "category", "expires_at")
        sold = ("id", "kind", "sold", "source_id", "next_fulfillment_at", "is_active", "problem")
        claims = ("id", "created_at", "open_amount", "amount", "fulfillment", "payment")
        return [
            self.table(request, _("Open lots"), Lot, lots, spending_order, is_open__exact=True, **mine),
            latest_transactions(self, request, obj),
            self.table(request, _("Open holds"), Hold, holds, is_open__exact=True, **mine),
            self.table(request, _("Fulfillments"), Fulfillment, sold, **mine),
            self.table(request, _("Open claims"), Debt, claims, open_amount__gt=0, **mine),
            self.table(request, _("Spending caps"), SpendingCap, CAPPED, ("attributed_to", "pk"), **mine),
            *self._recharges(request, mine),
        ]

    def _recharges(self, request: HttpRequest, mine: dict[str, Any]) -> list[Table | None]:
        """Return the tables of recharges, where the wallet ever had any: few have."""
        tables = (
            self.table(request, _("Recharge setting"), RechargeSetting, RECHARGED, **mine),
            self.table(request, _("Recharges"), Recharge, ATTEMPTS, **mine),
        )
        return [table for table in tables if table and table.rows]

    @admin.display(description=_("owner"))
    def owner(self, wallet: Wallet) -> str:
        return owner_name(wallet)

    @admin.display(description=_("owner"))
    def owner_link(self, wallet: Wallet) -> str:
        if wallet.owner is None:
            return owner_name(wallet)
        try:
            return self.link(wallet.owner)
        except NoReverseMatch:  # the project has no admin for this model
            return owner_name(wallet)

    @admin.display(description=_("balance"))
    def balance(self, wallet: Any) -> int:
        balance: int = wallet.balance_now
        return balance

    @admin.display(description=_("held"))
    def held(self, wallet: Wallet) -> int:
        return wallet.booked_held

    @admin.display(description=_("available"))
    def available(self, wallet: Any) -> int:
        available: int = max(wallet.balance_now - wallet.booked_held, 0)
        return available

"""Wallets: what their owners have now, and the one way to change that by hand."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from usage_credits.admin.adjustments import adjustment_view, may_adjust
from usage_credits.admin.base import LedgerAdmin, owner_name
from usage_credits.admin.filters import AssetFilter, OwingFilter, OwnerModelFilter
from usage_credits.admin.tables import Table
from usage_credits.ledger.balances import signed_balance
from usage_credits.models import Debt, Fulfillment, Hold, Lot, SpendingCap, Transaction, Wallet

CAPPED = ("id", "attributed_to", "every", "limit", "spent_now", "held", "left", "resets_at")


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
        (None, {"fields": ("owner_link", "owner_type", "owner_id", "asset", "created_at")}),
        (_("Now"), {"fields": (("balance", "held", "available", "debt", "claims"),)}),
        (_("As stored"), {"fields": ("booked_balance", "metadata"), "classes": ("collapse",)}),
    )

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Wallet]:
        return super().get_queryset(request).annotate(balance_now=signed_balance(timezone.now()))

    def get_urls(self) -> list[Any]:
        adjust: URLPattern = path(
            "<path:object_id>/adjust/",
            self.admin_site.admin_view(self.adjust),
            name=f"{self.opts.app_label}_{self.opts.model_name}_adjust",
        )
        return [adjust, *super().get_urls()]

    def adjust(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return adjustment_view(self, request, object_id)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["may_adjust"] = may_adjust(request)
        return super().render_change_form(request, context, *args, **kwargs)

    def tables(self, request: HttpRequest, obj: Wallet) -> list[Table | None]:
        mine: dict[str, Any] = {"wallet__id__exact": obj.pk}
        return [
            self.table(
                request,
                _("Open lots"),
                Lot,
                ("id", "remaining", "amount", "expires_at", "priority", "operations", "state", "transaction"),
                ordering=("priority", models.F("expires_at").asc(nulls_last=True), "pk"),
                is_open__exact=True,
                **mine,
            ),
            self.table(
                request,
                _("Latest transactions"),
                Transaction,
                ("id", "created_at", "description", "signed_amount", "balance_after", "expires_at"),
                **mine,
            ),
            self.table(
                request,
                _("Open holds"),
                Hold,
                ("id", "created_at", "amount", "category", "expires_at"),
                is_open__exact=True,
                **mine,
            ),
            self.table(
                request,
                _("Fulfillments"),
                Fulfillment,
                ("id", "kind", "sold", "source_id", "next_fulfillment_at", "is_active", "problem"),
                **mine,
            ),
            self.table(
                request,
                _("Open claims"),
                Debt,
                ("id", "created_at", "open_amount", "amount", "fulfillment", "payment"),
                open_amount__gt=0,
                **mine,
            ),
            self.table(request, _("Spending caps"), SpendingCap, CAPPED, ("attributed_to", "pk"), **mine),
        ]

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

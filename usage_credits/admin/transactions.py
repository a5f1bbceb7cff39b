"""Transactions: the ledger itself, and which lots paid what."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import path
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _

from usage_credits.admin.base import OwnedAdmin
from usage_credits.admin.exports import list_export
from usage_credits.admin.filters import (
    CategoryFilter,
    DirectionFilter,
    ExpiryFilter,
    OperationFilter,
    WalletAssetFilter,
    WalletOwnerModelFilter,
)
from usage_credits.admin.reversals import reversal_url, reversal_view
from usage_credits.admin.tables import Table
from usage_credits.models import Allocation, KeyAlias, Lot, Transaction


@admin.register(Transaction)
class TransactionAdmin(OwnedAdmin[Transaction]):
    change_form_template = "admin/usage_credits/transaction/change_form.html"
    related = ("wallet__owner_type", "transfer", "hold", "fulfillment", "reverses")
    list_display = (
        "id",
        "created_at",
        "owner",
        "asset",
        "description",
        "signed_amount",
        "balance_after",
        "expires_at",
        "attributed_to",
    )
    list_filter = (
        DirectionFilter,
        CategoryFilter,
        OperationFilter,
        WalletAssetFilter,
        WalletOwnerModelFilter,
        ExpiryFilter,
        "created_at",
    )
    search_fields = (
        "idempotency_key",
        "attributed_to",
        "category",
        "operation",
        "wallet__owner_id",
        "wallet__asset",
        "fulfillment__source_id",
    )
    search_help_text = _(
        "Transaction id, key, attributed to, category, operation, owner id, asset or source id, exactly."
    )
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "owner",
                    "wallet",
                    "created_at",
                    "description",
                    "category",
                    "operation",
                    "signed_amount",
                )
            },
        ),
        (_("Balance"), {"fields": ("balance_before", "balance_after", "overdraft", "expires_at")}),
        (_("Where it comes from"), {"fields": ("idempotency_key", "attributed_to", "cash", "metadata")}),
        (_("Used"), {"fields": ("model", "member", "tokens", "provider")}),
        (_("Belongs to"), {"fields": ("fulfillment", "grid_date", "transfer", "hold", "reverses")}),
    )

    def get_urls(self) -> list[Any]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        view = self.admin_site.admin_view
        return [
            path("export.csv", view(self.export), name=f"{name}_export"),
            path("<path:object_id>/reverse/", view(self.reverse), name=f"{name}_reverse"),
            *super().get_urls(),
        ]

    def export(self, request: HttpRequest) -> HttpResponseBase:
        return list_export(self, request)

    def reverse(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return reversal_view(self, request, object_id)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        row = kwargs.get("obj")
        context["reversal_url"] = reversal_url(self, request, row) if row is not None else ""
        return super().render_change_form(request, context, *args, **kwargs)

    def tables(self, request: HttpRequest, obj: Transaction) -> list[Table | None]:
        reversals = self.table(
            request,
            _("Reversals"),
            Transaction,
            ("id", "created_at", "description", "signed_amount"),
            reverses__id__exact=obj.pk,
        )
        keys = self.table(request, _("Key aliases"), KeyAlias, ("id", "key"), transaction__id__exact=obj.pk)
        return [*self._lots(request, obj), reversals, keys]

    def _lots(self, request: HttpRequest, obj: Transaction) -> list[Table | None]:
        if obj.amount < 0:
            columns = ("id", "lot", "amount", "lot_expires_at", "lot_credit")
            return [
                self.table(
                    request, _("Paid by"), Allocation, columns, ordering=("pk",), debit__id__exact=obj.pk
                )
            ]
        columns = ("id", "remaining", "amount", "expires_at", "state")
        lots = self.table(request, _("Lot"), Lot, columns, transaction__id__exact=obj.pk)
        lot = Lot.objects.using(obj._state.db).filter(transaction=obj).first()
        if lot is None:
            return [lots]
        spent = self.table(
            request, _("Spent on"), Allocation, ("id", "debit", "amount", "spent_at"), lot__id__exact=lot.pk
        )
        return [lots, spent]

    @admin.display(description=_("asset"))
    def asset(self, row: Transaction) -> str:
        asset: str = row.wallet.asset
        return asset

    @admin.display(description=_("description"))
    def description(self, row: Transaction) -> str:
        return row.description

    @admin.display(description=_("provider cost"))
    def provider(self, row: Transaction) -> Any:
        """Return the amount in the minor unit, as `cash` does."""
        if row.provider_cost is None:
            return self.get_empty_value_display()
        return _("%(amount)s (minor unit, %(currency)s)") % {
            "amount": number_format(row.provider_cost),
            "currency": row.provider_currency,
        }

    @admin.display(description=_("cash"))
    def cash(self, row: Transaction) -> Any:
        """Return the amount in the minor unit, as it is stored: how many digits that has depends on the currency."""
        if row.cash_amount is None:
            return self.get_empty_value_display()
        return _("%(amount)s (minor unit, %(currency)s)") % {
            "amount": number_format(row.cash_amount),
            "currency": row.cash_currency,
        }

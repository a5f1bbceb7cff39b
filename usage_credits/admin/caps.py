"""Spending caps: what the keys of a wallet may spend, and what that leaves them now; set through the ledger."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from usage_credits.admin.base import OwnedAdmin
from usage_credits.admin.filters import WalletAssetFilter, WalletOwnerModelFilter
from usage_credits.exceptions import InvalidValue
from usage_credits.ledger.capped import bring_to, left_of, next_window, with_held
from usage_credits.ledger.caps import cap_period, remove_cap, set_cap
from usage_credits.models import SpendingCap
from usage_credits.values import MAX_AMOUNT

if TYPE_CHECKING:
    _CapForm = forms.ModelForm[SpendingCap]
else:
    _CapForm = forms.ModelForm


class CapForm(_CapForm):
    limit = forms.IntegerField(
        min_value=0,
        max_value=MAX_AMOUNT,
        label=_("Limit"),
        help_text=_("Credits that the key may spend in each window; 0: none."),
    )

    def clean_every(self) -> str:
        try:
            return cap_period(self.cleaned_data["every"])
        except InvalidValue as error:
            raise forms.ValidationError(str(error)) from error


@admin.register(SpendingCap)
class SpendingCapAdmin(OwnedAdmin[SpendingCap]):
    list_display = (
        "id",
        "owner",
        "wallet",
        "attributed_to",
        "every",
        "limit",
        "spent_now",
        "held",
        "left",
        "resets_at",
    )
    list_filter = ("every", WalletAssetFilter, WalletOwnerModelFilter, "created_at")
    search_fields = ("attributed_to", "wallet__owner_id", "wallet__asset")
    search_help_text = _("Cap id, attributed to, owner id or asset, exactly.")
    fieldsets = (
        (None, {"fields": ("owner", "wallet", "attributed_to", "every", "limit", "created_at")}),
        (_("Now"), {"fields": (("spent_now", "held", "left", "resets_at"),)}),
        (
            _("As stored"),
            {"fields": ("spent", "window_start", "counts_from"), "classes": ("collapse",)},
        ),
    )

    form = CapForm
    raw_id_fields = ("wallet",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return admin.ModelAdmin.has_add_permission(self, request)

    def has_change_permission(self, request: HttpRequest, obj: SpendingCap | None = None) -> bool:
        return admin.ModelAdmin.has_change_permission(self, request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: SpendingCap | None = None) -> bool:
        own = admin.ModelAdmin.has_delete_permission(self, request, obj)
        return own or super().has_delete_permission(request, obj)

    def get_fieldsets(self, request: HttpRequest, obj: SpendingCap | None = None) -> Any:
        """Ask a new cap only what it is; of another one show all."""
        asked = [(None, {"fields": ("wallet", "attributed_to", "every", "limit")})]
        return asked if obj is None else super().get_fieldsets(request, obj)

    def get_readonly_fields(self, request: HttpRequest, obj: SpendingCap | None = None) -> Any:
        """Let only the limit of a cap be changed: what it is of, and for how long, makes it another cap."""
        if obj is None:
            return ()
        return [name for name in flatten_fieldsets(self.get_fieldsets(request, obj)) if name != "limit"]

    def save_model(self, request: HttpRequest, obj: SpendingCap, form: Any, change: bool) -> None:
        obj.pk = set_cap(obj.wallet, obj.attributed_to, obj.limit, every=obj.every).pk

    def delete_model(self, request: HttpRequest, obj: SpendingCap) -> None:
        remove_cap(obj.wallet, obj.attributed_to, obj.every)

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[SpendingCap]) -> None:
        for cap in queryset:
            self.delete_model(request, cap)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[SpendingCap]:
        return with_held(super().get_queryset(request), timezone.now())

    @admin.display(description=_("spent"))
    def spent_now(self, cap: SpendingCap) -> int:
        return standing(cap).spent

    @admin.display(description=_("held"))
    def held(self, cap: SpendingCap) -> int:
        return standing(cap).held

    @admin.display(description=_("left"))
    def left(self, cap: SpendingCap) -> int:
        return left_of(standing(cap))

    @admin.display(description=_("resets at"))
    def resets_at(self, cap: SpendingCap) -> str:
        return self.text(next_window(standing(cap)))


def standing(cap: SpendingCap) -> SpendingCap:
    """Return a copy of the cap as it stands now; the page shows what is stored too."""
    return bring_to(copy(cap), timezone.now())

"""Spending caps: what the keys of a wallet may spend, and what that leaves them now."""

from __future__ import annotations

from copy import copy

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from usage_credits.admin.base import OwnedAdmin
from usage_credits.admin.filters import WalletAssetFilter, WalletOwnerModelFilter
from usage_credits.ledger.capped import bring_to, left_of, next_window, with_held
from usage_credits.models import SpendingCap


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

"""Automatic recharges: what owners agreed to, which may be stopped here, and each attempt to charge them."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from usage_credits.admin.base import OwnedAdmin
from usage_credits.admin.filters import WalletAssetFilter, WalletOwnerModelFilter
from usage_credits.admin.tables import Table
from usage_credits.billing.recharge_settings import switch_off
from usage_credits.dsl.money import Money
from usage_credits.models import Recharge, RechargeSetting
from usage_credits.statements.prices import price_text

ATTEMPTS = ("id", "created_at", "state", "price", "reason", "payment")


@admin.register(RechargeSetting)
class RechargeSettingAdmin(OwnedAdmin[RechargeSetting]):
    actions = ("stop",)
    list_display = (
        "id",
        "owner",
        "wallet",
        "pack_name",
        "threshold",
        "max_per_day",
        "max_per_month",
        "is_enabled",
        "failures",
        "paused_until",
        "stop_reason",
    )
    list_filter = ("is_enabled", "stop_reason", WalletAssetFilter, WalletOwnerModelFilter, "set_at")
    search_fields = ("pack_name", "wallet__owner_id", "wallet__asset")
    search_help_text = _("Setting id, pack, owner id or asset, exactly.")
    fieldsets = (
        (None, {"fields": ("owner", "wallet", "pack_name", "threshold", ("max_per_day", "max_per_month"))}),
        (_("Now"), {"fields": (("is_enabled", "stop_reason"), ("failures", "paused_until", "told_at"))}),
        (_("As agreed"), {"fields": ("as_sold", "payment_method", "set_at", "created_at")}),
    )

    def tables(self, request: HttpRequest, obj: RechargeSetting) -> list[Table | None]:
        return [self.table(request, _("Recharges"), Recharge, ATTEMPTS, wallet__id__exact=obj.wallet_id)]

    def has_stop_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("usage_credits.change_rechargesetting")

    @admin.action(description=_("Stop recharging the selected wallets"), permissions=["stop"])
    def stop(self, request: HttpRequest, queryset: models.QuerySet[RechargeSetting]) -> None:
        enabled = list(queryset.filter(is_enabled=True))
        for setting in enabled:
            switch_off(setting)
            self.log_change(request, setting, gettext("Stopped recharging the wallet."))
        stopped = len(enabled)
        text = ngettext(
            "%d wallet is not recharged any more.", "%d wallets are not recharged any more.", stopped
        )
        level = messages.SUCCESS if stopped else messages.WARNING
        self.message_user(request, text % stopped, level)


@admin.register(Recharge)
class RechargeAdmin(OwnedAdmin[Recharge]):
    related = (*OwnedAdmin.related, "fulfillment")
    list_display = (
        "id",
        "owner",
        "wallet",
        "created_at",
        "state",
        "pack_name",
        "credits",
        "price",
        "reason",
        "payment",
        "fulfillment_link",
    )
    list_filter = ("state", WalletAssetFilter, WalletOwnerModelFilter, "created_at")
    search_fields = ("payment", "key", "customer_id", "reason", "wallet__owner_id")
    search_help_text = _("Recharge id, payment, key, customer id, reason or owner id, exactly.")
    fieldsets = (
        (None, {"fields": ("owner", "wallet", "state", "pack_name", "credits", "price", "as_sold")}),
        (_("At Stripe"), {"fields": ("payment", "customer_id", "payment_method", "key")}),
        (_("What came of it"), {"fields": ("fulfillment_link", "reason", "error")}),
        (_("Attempts"), {"fields": ("created_at", "attempts", "next_attempt_at", "ended_at")}),
    )

    @admin.display(description=_("price"))
    def price(self, recharge: Recharge) -> str:
        return price_text(Money(recharge.amount, recharge.currency))

    @admin.display(description=_("fulfillment"))
    def fulfillment_link(self, recharge: Recharge) -> SafeString | str:
        fulfillment = recharge.fulfillment
        return self.link(fulfillment) if fulfillment else self.get_empty_value_display()

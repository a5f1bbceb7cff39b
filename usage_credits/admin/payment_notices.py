"""Payment notices: payments that wait for their credits, and why."""

from __future__ import annotations

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from usage_credits.admin.base import LedgerAdmin
from usage_credits.admin.filters import ResolutionFilter
from usage_credits.models import PaymentNotice


@admin.register(PaymentNotice)
class PaymentNoticeAdmin(LedgerAdmin[PaymentNotice]):
    related = ("fulfillment",)
    list_display = (
        "id",
        "created_at",
        "source_id",
        "reason",
        "customer_id",
        "attempts",
        "last_attempt_at",
        "resolved_at",
    )
    list_filter = (ResolutionFilter, "reason", "created_at")
    search_fields = ("source_id", "customer_id")
    search_help_text = _("Notice id, source id or customer id, exactly.")
    fieldsets = (
        (None, {"fields": ("source", "source_id", "customer_id", "reason", "detail")}),
        (
            _("Attempts"),
            {"fields": ("created_at", "attempts", "last_attempt_at", "resolved_at", "fulfillment")},
        ),
        (_("What is known"), {"fields": ("payload",)}),
    )

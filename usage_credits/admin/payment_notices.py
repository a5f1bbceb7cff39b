"""Payment notices: payments that wait for their credits, and why."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from usage_credits.admin.base import LedgerAdmin
from usage_credits.admin.filters import ResolutionFilter
from usage_credits.models import PaymentNotice


@admin.register(PaymentNotice)
class PaymentNoticeAdmin(LedgerAdmin[PaymentNotice]):
    actions = ("retry",)
    related = ("fulfillment",)
    list_display = (
        "id",
        "created_at",
        "source_id",
        "reason",
        "customer_id",
        "attempts",
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

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("usage_credits.change_paymentnotice")

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        if not apps.is_installed("djstripe"):
            actions.pop("retry", None)
        return actions

    @admin.action(
        description=_("Try again to turn the selected payments into credits"), permissions=["retry"]
    )
    def retry(self, request: HttpRequest, queryset: models.QuerySet[PaymentNotice]) -> None:
        # dj-stripe's models can be imported only where it is installed.
        from usage_credits.billing.stripe_retries import retry_notices

        resolved = 0
        for retry in retry_notices(ids=list(queryset.values_list("pk", flat=True))):
            if retry.is_resolved:
                resolved += 1
            else:
                text = f"{retry.notice}. {retry.error or retry.notice.detail}"
                self.message_user(request, text, messages.ERROR)
        text = ngettext("%d payment was resolved.", "%d payments were resolved.", resolved) % resolved
        self.message_user(request, text, messages.SUCCESS if resolved else messages.WARNING)

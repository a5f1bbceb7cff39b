"""Fulfillments: what was sold to whom, and what came of it."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.urls import path
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _

from usage_credits.admin import settlements
from usage_credits.admin.base import OwnedAdmin
from usage_credits.admin.filters import FulfillmentStateFilter, WalletAssetFilter, WalletOwnerModelFilter
from usage_credits.admin.tables import Table
from usage_credits.billing.forecasts import coming_dates
from usage_credits.models import Debt, Fulfillment, PaymentNotice, Transaction


@admin.register(Fulfillment)
class FulfillmentAdmin(OwnedAdmin[Fulfillment]):
    change_form_template = "admin/usage_credits/fulfillment/change_form.html"
    actions = ("award_due", "ask_stripe")
    prefetched = ("wallet__owner", "debts")
    list_display = (
        "id",
        "created_at",
        "owner",
        "kind",
        "sold",
        "seats",
        "source_id",
        "credits_last_awarded",
        "next_fulfillment_at",
        "stops_at",
        "pending",
        "claimed",
        "is_active",
        "problem",
    )
    list_filter = ("kind", FulfillmentStateFilter, WalletAssetFilter, WalletOwnerModelFilter, "created_at")
    search_fields = ("source_id", "plan_name", "pack_name", "wallet__owner_id", "wallet__asset")
    search_help_text = _("Fulfillment id, source id, plan, pack, owner id or asset, exactly.")
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "owner",
                    "wallet",
                    "kind",
                    "plan_name",
                    "pack_name",
                    "seats",
                    "as_sold",
                    "created_at",
                )
            },
        ),
        (
            _("Schedule"),
            {
                "fields": (
                    "coming",
                    "next_fulfillment_at",
                    "anchor",
                    "period",
                    "last_fulfilled_at",
                    "credits_last_awarded",
                    "seats_awarded",
                    "credits_expire_at",
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
                    "changed_at",
                    "claimed",
                )
            },
        ),
        (
            _("Payment"),
            {"fields": ("source", "source_id", "paid_from", "paid_through", "metadata")},
        ),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Fulfillment | None = None) -> Any:
        """Put what keeps it from awarding before all else."""
        fieldsets = super().get_fieldsets(request, obj)
        failing = [(_("Failing"), {"fields": ("problem",)})] if obj and obj.last_error else []
        return [*failing, *fieldsets]

    def get_urls(self) -> list[Any]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        return [
            path(
                f"<path:object_id>/{job.replace('_', '-')}/",
                self.admin_site.admin_view(partial(self.settle_one, settle=settle)),
                name=f"{name}_{job}",
            )
            for job, settle in (
                ("award_due", settlements.award_due),
                ("ask_stripe", settlements.ask_stripe),
            )
        ] + super().get_urls()

    def settle_one(self, request: HttpRequest, object_id: str, settle: settlements.Settle) -> HttpResponse:
        return settlements.settlement_view(self, request, object_id, settle)

    def has_settle_permission(self, request: HttpRequest) -> bool:
        return settlements.may_settle(request)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        if not apps.is_installed("djstripe"):
            actions.pop("ask_stripe", None)
        return actions

    @admin.action(description=_("Award what is due now"), permissions=["settle"])
    def award_due(self, request: HttpRequest, queryset: models.QuerySet[Fulfillment]) -> None:
        settlements.settle_selected(self, request, queryset, settlements.award_due)

    @admin.action(description=_("Ask Stripe again"), permissions=["settle"])
    def ask_stripe(self, request: HttpRequest, queryset: models.QuerySet[Fulfillment]) -> None:
        settlements.settle_selected(self, request, queryset, settlements.ask_stripe)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        fulfillment = kwargs.get("obj")
        context["may_settle"] = settlements.may_settle(request)
        context["can_ask_stripe"] = fulfillment is not None and settlements.can_ask_stripe(fulfillment)
        return super().render_change_form(request, context, *args, **kwargs)

    def tables(self, request: HttpRequest, obj: Fulfillment) -> list[Table | None]:
        mine: dict[str, Any] = {"fulfillment__id__exact": obj.pk}
        awards = ("id", "created_at", "description", "signed_amount", "grid_date", "expires_at")
        claims = ("id", "open_amount", "amount", "payment", "created_at")
        return [
            self.table(request, _("Transactions"), Transaction, awards, **mine),
            self.table(request, _("Claims"), Debt, claims, **mine),
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

    @admin.display(description=_("pending"))
    def pending(self, fulfillment: Fulfillment) -> str:
        if not fulfillment.pending_plan or fulfillment.pending_from is None:
            return fulfillment.pending_plan
        moment = self.text(fulfillment.pending_from)
        return _("%(plan)s from %(moment)s") % {"plan": fulfillment.pending_plan, "moment": moment}

    @admin.display(description=_("claims"))
    def claimed(self, fulfillment: Fulfillment) -> int:
        return sum(claim.open_amount for claim in fulfillment.debts.all())

    @admin.display(description=_("coming awards"))
    def coming(self, fulfillment: Fulfillment) -> str:
        dates = [(f"{self.text(date)} {name}".strip(),) for date, name, _credits in coming_dates(fulfillment)]
        return format_html_join("", "<div>{}</div>", dates) or self.text(None)

    @admin.display(description=_("last error"))
    def problem(self, fulfillment: Fulfillment) -> str:
        if not fulfillment.last_error:
            return ""
        return format_html('<strong class="usage-credits-error">{}</strong>', fulfillment.last_error)

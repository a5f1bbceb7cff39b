"""Filters of the lists; none of them reads the ledger to find its choices."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.db import models
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from usage_credits import conf
from usage_credits.ledger.labels import label
from usage_credits.ledger.wallets import owner_type
from usage_credits.models import Wallet
from usage_credits.owners import HasWallet

MOST_ASSETS = 50
LATEST_WALLETS = 10_000
"""Assets are offered as they are found in so many wallets: to find all, each page would read all wallets."""


class ChoiceFilter(admin.SimpleListFilter):
    """A filter whose choices are conditions: {value: (label, condition)}."""

    def conditions(self) -> dict[str, tuple[Any, Q]]:
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        return [(value, label) for value, (label, _condition) in self.conditions().items()]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        _label, condition = self.conditions().get(self.value() or "", ("", Q()))
        return queryset.filter(condition)


class CategoryFilter(ChoiceFilter):
    title = _("category")
    parameter_name = "category"

    def conditions(self) -> dict[str, tuple[Any, Q]]:
        names = conf.current().categories
        return {name: (label(name), Q(category=name)) for name in names}


class OperationFilter(ChoiceFilter):
    """Offers the operations of settings; the search finds rows of those that have gone from there."""

    title = _("operation")
    parameter_name = "operation"

    def conditions(self) -> dict[str, tuple[Any, Q]]:
        names = conf.current().catalogue.operation_names
        return {name: (name, Q(operation=name)) for name in names}


class DirectionFilter(ChoiceFilter):
    title = _("direction")
    parameter_name = "direction"

    def conditions(self) -> dict[str, tuple[Any, Q]]:
        return {
            "credit": (pgettext_lazy("direction", "credits"), Q(amount__gt=0)),
            "debit": (_("debits"), Q(amount__lt=0)),
        }


class ExpiryFilter(ChoiceFilter):
    title = _("expiry")
    parameter_name = "expiry"

    def conditions(self) -> dict[str, tuple[Any, Q]]:
        now = timezone.now()
        return {
            "expired": (_("expired"), Q(expires_at__lte=now)),
            "ahead": (_("ahead"), Q(expires_at__gt=now)),
            "none": (_("none"), Q(expires_at=None)),
        }


class FulfillmentStateFilter(ChoiceFilter):
    title = _("state")
    parameter_name = "state"

    def conditions(self) -> dict[str, tuple[Any, Q]]:
        stopped = Q(stops_at__isnull=False, stops_at__lte=timezone.now())
        return {
            "active": (_("active"), ~stopped),
            "stopped": (_("stopped"), stopped),
            "failed": (_("failing"), ~Q(last_error="")),
            "due": (_("due"), Q(next_fulfillment_at__isnull=False)),
        }

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        found: Any = super().queryset(request, queryset)
        due: models.QuerySet[Any] = found.due(timezone.now()) if self.value() == "due" else found
        return due


class ResolutionFilter(ChoiceFilter):
    title = _("state")
    parameter_name = "state"

    def conditions(self) -> dict[str, tuple[Any, Q]]:
        return {
            "open": (_("open"), Q(resolved_at=None)),
            "resolved": (_("resolved"), Q(resolved_at__isnull=False)),
        }


class SettlementFilter(ChoiceFilter):
    title = _("state")
    parameter_name = "state"

    def conditions(self) -> dict[str, tuple[Any, Q]]:
        return {"open": (_("open"), Q(open_amount__gt=0)), "settled": (_("settled"), Q(open_amount=0))}


class OwingFilter(ChoiceFilter):
    title = _("debt")
    parameter_name = "owes"

    def conditions(self) -> dict[str, tuple[Any, Q]]:
        return {"yes": (_("owes credits"), Q(debt__gt=0)), "no": (_("owes nothing"), Q(debt=0))}


class OwnerModelFilter(ChoiceFilter):
    """Filters wallets by their owners' model; rows of wallets through its subclass."""

    title = _("owner")
    parameter_name = "owner"
    wallet_path = ""

    def conditions(self) -> dict[str, tuple[Any, Q]]:
        types = {owner_type(model) for model in apps.get_models() if issubclass(model, HasWallet)}
        column = f"{self.wallet_path}owner_type"
        choices: dict[str, tuple[Any, Q]] = {
            f"{kind.app_label}.{kind.model}": (capfirst(kind.name), Q((column, kind)))
            for kind in sorted(types, key=lambda kind: kind.pk)
        }
        return {**choices, "detached": (_("detached"), Q((column, None)))}


class WalletOwnerModelFilter(OwnerModelFilter):
    wallet_path = "wallet__"


class AssetFilter(ChoiceFilter):
    """Filters wallets by asset; rows of wallets through its subclass."""

    title = _("asset")
    parameter_name = "asset"
    wallet_path = ""

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, Any]]:
        wallets = Wallet.objects.using(model_admin.get_queryset(request).db).order_by("-pk")
        names = sorted(set(wallets.values_list("asset", flat=True)[:LATEST_WALLETS]))
        return [(name, name) for name in names[:MOST_ASSETS]]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any]:
        asset = self.value()
        return queryset.filter(**{f"{self.wallet_path}asset": asset}) if asset else queryset


class WalletAssetFilter(AssetFilter):
    wallet_path = "wallet__"

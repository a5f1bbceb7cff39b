"""What every page has in common: read-only, exact search, bounded counts, tables of related rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.utils import display_for_value, quote
from django.core.paginator import Paginator
from django.db import models
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import smart_split, unescape_string_literal
from django.utils.translation import gettext_lazy as _

from usage_credits.admin.tables import ExtraColumn, Table, related_table
from usage_credits.models import Wallet
from usage_credits.values import MAX_AMOUNT

Row = TypeVar("Row", bound=models.Model)

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin
    _Paginator = Paginator[Any]
else:
    _Paginator = Paginator

    class _ModelAdmin(admin.ModelAdmin, Generic[Row]):
        """Django's class takes no type argument at run time."""


COUNTED = 10_000
"""How many rows a list counts and so reaches by its pages; search and filters look at all of them."""


class BoundedPaginator(_Paginator):
    """Counts no further than COUNTED: an exact count of a ledger would read all of it."""

    @cached_property
    def count(self) -> int:
        rows = cast("models.QuerySet[models.Model]", self.object_list)
        return rows.order_by()[:COUNTED].count()


class LedgerAdmin(_ModelAdmin[Row]):
    """Shows the rows of one model and changes none of them."""

    paginator = BoundedPaginator
    list_per_page = 50
    ordering = ("-pk",)
    sortable_by = ()
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    change_form_template = "admin/usage_credits/change_form.html"
    related: tuple[str, ...] = ()
    prefetched: tuple[str, ...] = ()

    class Media:
        css = {"all": ("usage_credits/admin.css",)}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Row | None = None) -> bool:
        """Deny it on this model's own pages; allow it to the page of an owner that is deleted with what it owns.

        Denied there too, an owner whose wallet is empty could not be deleted, and one with history would be refused
        for a lack of permissions instead of for its history, which PROTECT takes care of.
        """
        match = request.resolver_match
        own_pages = f"{self.opts.app_label}_{self.opts.model_name}_"
        return obj is not None and match is not None and not (match.url_name or "").startswith(own_pages)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Row]:
        rows = super().get_queryset(request)
        return rows.select_related(*self.related).prefetch_related(*self.prefetched)

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Row], search_term: str
    ) -> tuple[models.QuerySet[Row], bool]:
        """Keep rows in which every word of the search is the primary key or exactly one of `search_fields`.

        Exact, because ids are: nobody looks for half a key, and a part of a text cannot be found by an index.
        """
        for word in smart_split(search_term):
            if word[0] in "\"'" and len(word) > 1 and word[0] == word[-1]:
                word = unescape_string_literal(word)
            queryset = queryset.filter(self._matches(request, word))
        return queryset, False

    def _matches(self, request: HttpRequest, word: str) -> Q:
        found = Q()
        for name in self.get_search_fields(request):
            found |= Q((name, word))
            if name.endswith("owner_id") and (uuid := _uuid(word)):
                found |= Q((name, uuid))
        if word.isascii() and word.isdecimal() and int(word[:20]) <= MAX_AMOUNT:
            found |= Q(pk=int(word[:20]))
        return found

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        obj = kwargs.get("obj")
        tables = self.tables(request, obj) if obj is not None else []
        context["related_tables"] = [table for table in tables if table is not None]
        return super().render_change_form(request, context, *args, **kwargs)

    def tables(self, request: HttpRequest, obj: Row) -> list[Table | None]:
        """Return the tables of related rows under an object's page; None where the user may not see them."""
        return []

    def table(
        self,
        request: HttpRequest,
        title: str | Promise,
        model: type[models.Model],
        columns: Sequence[str],
        ordering: Sequence[Any] = ("-pk",),
        extra: Sequence[ExtraColumn] = (),
        **lookups: Any,
    ) -> Table | None:
        """Return a table of the rows of `model` that match `lookups`; None where the user may not view them.

        See `usage_credits.admin.tables`.
        """
        if not self.may_view(request, model):
            return None
        return related_table(self.admin_site, request, title, model, columns, ordering, extra, lookups)

    def may_view(self, request: HttpRequest, model: type[models.Model]) -> bool:
        """Tell whether this site shows rows of `model` to the user."""
        site = self.admin_site
        return site.is_registered(model) and site.get_model_admin(model).has_view_permission(request)

    def link(self, row: models.Model, text: object = "") -> SafeString:
        """Return a link to the page of `row`, whose model has to be registered."""
        meta = row._meta
        url = reverse(
            f"admin:{meta.app_label}_{meta.model_name}_change",
            args=[quote(row.pk)],
            current_app=self.admin_site.name,
        )
        return format_html('<a href="{}">{}</a>', url, text or row)

    def text(self, value: object) -> str:
        """Return a value as lists show it; an object's page would show what it is in Python."""
        return display_for_value(value, self.get_empty_value_display())

    @admin.display(description=_("amount"), ordering="amount")
    def signed_amount(self, row: Any) -> SafeString:
        kind = "credit" if row.amount > 0 else "debit"
        text = signed(row.amount)
        return format_html('<span class="usage-credits-{}">{}</span>', kind, text)


class OwnedAdmin(LedgerAdmin[Row]):
    """Shows rows that have a wallet, with the wallet's owner."""

    related: tuple[str, ...] = ("wallet__owner_type",)
    prefetched: tuple[str, ...] = ("wallet__owner",)

    @admin.display(description=_("owner"))
    def owner(self, row: Any) -> SafeString:
        wallet: Wallet = row.wallet
        return self.link(wallet, owner_name(wallet))


def signed(amount: int) -> str:
    """Return an amount in the format of the locale, with its sign also where it is positive."""
    return f"{'+' if amount > 0 else ''}{number_format(amount)}"


def owner_name(wallet: Wallet) -> str:
    """Return the owner as text; says so where it was detached, or deleted behind Django's back."""
    if wallet.owner is not None:
        return str(wallet.owner)
    if wallet.owner_type is None:
        return str(_("(detached)"))
    return f"({wallet.owner_type.app_label}.{wallet.owner_type.model} {wallet.owner_id})"


def _uuid(word: str) -> UUID | None:
    try:
        return UUID(word)
    except ValueError:
        return None

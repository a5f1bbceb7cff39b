"""The page of a statement, and the statement as CSV."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.db.models import Q, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from usage_credits import conf
from usage_credits.ledger.labels import label
from usage_credits.models import Transaction
from usage_credits.models.transaction import TransactionQuerySet
from usage_credits.statements.exports import csv_response
from usage_credits.statements.filters import StatementFilter
from usage_credits.values import MAX_AMOUNT
from usage_credits.views.pages import WalletPage

ROWS: Final = 50
"""How many rows a page has."""


class PageFilter(StatementFilter):
    """The filters with names to choose from; what is no such name, but in the URL, is one more to choose."""

    def __init__(self, asked: Any, **options: Any) -> None:
        super().__init__(asked, **options)
        settings = conf.current()
        for field, names in (
            ("category", settings.categories),
            ("operation", settings.catalogue.operation_names),
        ):
            known = dict.fromkeys((*names, *filter(None, [asked.get(field)])))
            by_label = sorted(((name, label(name)) for name in known), key=lambda choice: choice[1])
            self.fields[field].widget = forms.Select(choices=[("", _("all")), *by_label])

    @property
    def is_narrowing(self) -> bool:
        """Tell whether anything is asked for."""
        return any(self.data.get(name) for name in self.fields)

    @property
    def has_days(self) -> bool:
        """Tell whether a first or a last day is asked for."""
        return any(self.data.get(name) for name in ("since", "until"))


class StatementView(WalletPage):
    """Show the rows of a wallet, the newest first, as many as a page has, and those before `?before=`.

    The filters are those of `StatementFilter`; one that is refused is answered 400, with what is allowed. HTMX gets
    the rows alone, and 422 for 400. Its context has `filters`, `rows`, `query`, `older` and `before`. Counts nothing:
    the last page takes as long as the first.
    """

    page = "statement"
    template_name = "usage_credits/statement.html"
    part_name = "usage_credits/_statement_rows.html"

    @cached_property
    def filters(self) -> PageFilter:
        return PageFilter(self.request.GET)

    def rows(self) -> TransactionQuerySet:
        """Return the rows that are asked for, oldest first; none where the filters are not valid."""
        if self.wallet is None or not self.filters.is_valid():
            return Transaction.objects.none()
        rows: TransactionQuerySet = self.filters.rows(self.wallet.history())
        return rows

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        before = self._before()
        found = self._page(before)
        rows = found[:ROWS]
        asked = self.request.GET.copy()
        asked.pop("before", None)
        older = asked.copy()
        if len(found) > ROWS:
            older["before"] = str(rows[-1].pk)
        return super().get_context_data(
            filters=self.filters,
            rows=rows,
            query=asked.urlencode(),
            older=older.urlencode() if len(found) > ROWS else "",
            before=before,
            **kwargs,
        )

    def render_to_response(self, context: dict[str, Any], **kwargs: Any) -> HttpResponse:
        if not self.filters.is_valid():
            # While DEBUG is on, django-htmx puts the answer 400 in the place of the whole page. And HTMX puts no page
            # into the history that cannot be gone back to.
            kwargs |= {"status": 422 if self.is_part else 400, "headers": {"HX-Push-Url": "false"}}
        return super().render_to_response(context, **kwargs)

    def _before(self) -> int | None:
        """Return the key of the row before which a page begins. Raises Http404 for what is none."""
        asked = self.request.GET.get("before")
        if not asked:
            return None
        is_number = asked.isascii() and asked.isdecimal() and len(asked) <= len(str(MAX_AMOUNT))
        if not is_number or not 0 < int(asked) <= MAX_AMOUNT:
            raise Http404("There is no such page.")
        return int(asked)

    def _page(self, before: int | None) -> list[Transaction]:
        """Return the rows of a page, and one more where there is an older page."""
        rows = self.rows().newest_first()
        if self.filters.has_days:
            # In the order of the index by which days are found: not one row outside of them is read.
            rows = rows.order_by("-created_at", "-pk")
        if before and self.filters.has_days:
            moment = Subquery(Transaction.objects.filter(wallet=self.wallet, pk=before).values("created_at"))
            rows = rows.filter(Q(created_at__lt=moment) | Q(pk__lt=before), created_at__lte=moment)
        elif before:
            rows = rows.filter(pk__lt=before)
        return list(rows[: ROWS + 1])


class StatementCsvView(StatementView):
    """Hand out the rows that the filters show as CSV, the oldest first, streamed."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if not self.filters.is_valid():
            return super().get(request, *args, **kwargs)
        return csv_response(request, self.rows())

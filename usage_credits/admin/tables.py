"""Tables of related rows under an object's page: a bounded number, in the columns of their own list."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.contrib.admin.utils import (
    display_for_field,
    display_for_value,
    label_for_field,
    lookup_field,
    quote,
)
from django.db import models
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.html import format_html

SHOWN = 20
"""How many related rows a page shows; the rest is a link away."""


@dataclass(frozen=True)
class Table:
    """What the template shows; `more` is the address of the whole list, empty where all of it is shown."""

    title: str
    header: list[str]
    rows: list[list[Any]]
    more: str


@dataclass(frozen=True)
class ExtraColumn:
    """A column beside those of a model's own list; `cells` tells of all rows at once, by primary key."""

    title: str | Promise
    cells: Callable[[list[Any]], Mapping[Any, Any]]


def related_table(
    site: AdminSite,
    request: HttpRequest,
    title: str | Promise,
    model: type[models.Model],
    columns: Sequence[str],
    ordering: Sequence[Any],
    extra: Sequence[ExtraColumn],
    lookups: Mapping[str, Any],
) -> Table:
    """Return up to SHOWN rows of `model` that match `lookups`.

    Columns are named as in `list_display` of the model's own admin, whose queryset is used, so that the number of
    statements does not grow with the rows. The first column links to the row's page; `extra` ones come last.
    """
    model_admin = site.get_model_admin(model)
    rows = list(model_admin.get_queryset(request).filter(**lookups).order_by(*ordering)[: SHOWN + 1])
    meta = model._meta
    page = f"admin:{meta.app_label}_{meta.model_name}"
    added = [column.cells(rows[:SHOWN]) for column in extra]
    empty = model_admin.get_empty_value_display()
    cells = []
    for row in rows[:SHOWN]:
        url = reverse(f"{page}_change", args=[quote(row.pk)], current_app=site.name)
        first, *others = [_cell(column, row, model_admin) for column in columns]
        others += [found.get(row.pk, empty) for found in added]
        cells.append([format_html('<a href="{}">{}</a>', url, first), *others])
    more = ""
    if len(rows) > SHOWN:
        more = f"{reverse(f'{page}_changelist', current_app=site.name)}?{urlencode(lookups)}"
    header = [str(label_for_field(column, model, model_admin)) for column in columns]
    header += [str(column.title) for column in extra]
    return Table(str(title), header, cells, more)


def _cell(column: str, row: models.Model, model_admin: Any) -> Any:
    field, method, value = lookup_field(column, row, model_admin)
    empty = model_admin.get_empty_value_display()
    if field is None:
        return display_for_value(value, empty, getattr(method, "boolean", False))
    if isinstance(field, models.ForeignKey):
        return empty if value is None else model_admin.link(value)
    return display_for_field(value, field, empty)

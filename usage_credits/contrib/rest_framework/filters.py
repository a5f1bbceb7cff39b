"""Filters of a statement, by the same query parameters as its page and its CSV."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.encoding import force_str
from rest_framework.exceptions import ValidationError
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

from usage_credits.statements.filters import StatementFilter


class StatementFilterBackend(BaseFilterBackend):
    """Lets through what `StatementFilter` does; a filter that is refused is answered 400 by its name."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        """Return the rows that were asked for; reads nothing yet."""
        asked = StatementFilter(request.query_params)
        if not asked.is_valid():
            raise ValidationError({name: list(map(str, errors)) for name, errors in asked.errors.items()})
        return asked.rows(queryset)  # type: ignore[arg-type]

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """Return the parameters as OpenAPI has them."""
        return [
            {
                "name": name,
                "in": "query",
                "required": False,
                "description": force_str(field.label),
                "schema": _schema_of(field),
            }
            for name, field in StatementFilter.base_fields.items()
        ]


def _schema_of(field: Any) -> dict[str, Any]:
    if isinstance(field, forms.ChoiceField):
        choices: Any = field.choices
        return {"type": "string", "enum": [value for value, _label in choices if value]}
    if isinstance(field, forms.DateField):
        return {"type": "string", "format": "date"}
    return {"type": "string", "maxLength": field.max_length}

"""Choose the rows of a statement by what somebody asks for in a URL."""

from __future__ import annotations

import datetime
from typing import Any, Final

from django import forms
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from usage_credits.dsl.categories import MAX_CATEGORY
from usage_credits.ledger.local_dates import midnight
from usage_credits.models.transaction import TransactionQuerySet

MAX_NAME: Final = 255
"""How long an operation or a key can be."""

# In any time zone, the years beside them end outside of what a datetime can hold.
_YEARS: Final = (
    MinValueValidator(datetime.date(2, 1, 1)),
    MaxValueValidator(datetime.date(9998, 12, 31)),
)


class Direction(models.TextChoices):
    IN = "in", _("added")
    OUT = "out", _("taken")


class _DayInput(forms.DateInput):
    input_type = "date"

    def __init__(self) -> None:
        # What such an input takes and sends, in every locale.
        super().__init__(format="%Y-%m-%d")


class StatementFilter(forms.Form):
    """The filters of a statement, all optional: each narrows the rows, and what is no filter is passed over.

    `since` and `until` are dates of the current time zone, both included. Where the form is not valid its errors say
    why, and `rows` must not be asked for.
    """

    direction = forms.ChoiceField(
        label=_("Direction"), required=False, choices=[("", _("all")), *Direction.choices]
    )
    category = forms.CharField(label=_("Category"), required=False, max_length=MAX_CATEGORY)
    operation = forms.CharField(label=_("Operation"), required=False, max_length=MAX_NAME)
    attributed_to = forms.CharField(label=_("Key or member"), required=False, max_length=MAX_NAME)
    since = forms.DateField(label=_("From"), required=False, widget=_DayInput, validators=_YEARS)
    until = forms.DateField(label=_("To"), required=False, widget=_DayInput, validators=_YEARS)

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or {}
        since, until = found.get("since"), found.get("until")
        if since and until and until < since:
            self.add_error("until", _("This is before the first day."))
        return found

    def rows(self, rows: TransactionQuerySet) -> TransactionQuerySet:
        """Return those of `rows` that the filters let through, in the order of `rows`; reads nothing yet."""
        asked = self.cleaned_data
        exact = {name: asked[name] for name in ("category", "operation", "attributed_to") if asked.get(name)}
        chosen = rows.filter(**exact)
        if asked.get("direction"):
            chosen = chosen.credits() if asked["direction"] == Direction.IN else chosen.debits()
        if asked.get("since"):
            chosen = chosen.filter(created_at__gte=midnight(asked["since"]))
        if asked.get("until"):
            chosen = chosen.filter(created_at__lt=midnight(asked["until"], after=1))
        return chosen

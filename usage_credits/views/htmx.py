"""What HTMX asks for: a part of a page, where the rest stands already."""

from __future__ import annotations

from typing import Final

from django.apps import apps
from django.http import HttpRequest

HEADERS: Final = ("HX-Request", "HX-Boosted", "HX-History-Restore-Request")
"""The headers on which the answer depends, for caches."""


def has_htmx() -> bool:
    """Tell whether the pages may load HTMX: django-htmx, which brings it, is installed."""
    return apps.is_installed("django_htmx")


def wants_part(request: HttpRequest) -> bool:
    """Tell whether HTMX asks for a part; a boosted link and a step back in history want the whole page."""
    asks, *wholes = (request.headers.get(name) == "true" for name in HEADERS)
    return asks and not any(wholes)

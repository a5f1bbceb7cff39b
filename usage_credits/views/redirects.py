"""Where a page leads on to."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponseRedirect
from django.utils.http import url_has_allowed_host_and_scheme

LONGEST: Final = 2_000
"""The most characters of a page to go on to: with what Stripe adds it stays within the 5,000 that it takes."""


class SeeOther(HttpResponseRedirect):
    """Lead on from a POST, by GET."""

    status_code = 303


def next_url(request: HttpRequest, asked: str) -> str:
    """Return where to go on; nothing where that is not on this host, so that no link leads people astray."""
    is_safe = len(asked) <= LONGEST and url_has_allowed_host_and_scheme(
        asked, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return asked if is_safe else ""

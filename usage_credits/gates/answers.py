"""Answer who is turned away: programs by a problem, people by a redirect with a message."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.urls import get_script_prefix
from django.utils.cache import patch_vary_headers
from django.utils.http import url_has_allowed_host_and_scheme

from usage_credits.gates.problems import CONTENT_TYPE, Problem

HTML: Final = "text/html"
JSON: Final = ("application/json", CONTENT_TYPE)


def is_program(request: HttpRequest) -> bool:
    """Tell whether a program asks and not a person's browser: it prefers JSON to HTML, or wants no HTML at all.

    Where it takes anything (`*/*`, or no header), it is one if it sent JSON.
    """
    preferred = request.get_preferred_type([HTML, *JSON])
    takes_both_alike = request.accepted_type(HTML) is request.accepted_type(JSON[0])
    return preferred != HTML or (takes_both_alike and _sends_json(request))


def refuse(request: HttpRequest, problem: Problem, *, message: Any, redirect_to: Any) -> HttpResponse:
    """Return the problem to a program; send a person on with a message, back by default.

    `redirect_to` is what `django.shortcuts.redirect` takes, or None. Without the messages framework the person is
    sent on without a word.
    """
    if is_program(request):
        return varying(problem.response())
    if hasattr(request, "_messages"):
        messages.error(request, message)
    url = resolve_url(redirect_to) if redirect_to is not None else page_before(request) or get_script_prefix()
    return varying(HttpResponseRedirect(url))


def ask_to_sign_in(request: HttpRequest, problem: Problem) -> HttpResponse:
    """Return the problem to a program; send a person to LOGIN_URL, and from there to the page before."""
    if is_program(request):
        return varying(problem.response())
    # It imports models of an app that a project need not have installed.
    from django.contrib.auth.views import redirect_to_login

    return varying(redirect_to_login(page_before(request) or request.get_full_path()))


def forbid(request: HttpRequest, problem: Problem) -> HttpResponse:
    """Return the problem to a program; raise PermissionDenied for a person, who is shown the project's page."""
    if not is_program(request):
        raise PermissionDenied
    return varying(problem.response())


def page_before(request: HttpRequest) -> str | None:
    """Return the referring page where it is on this host and another one than this; else None."""
    referer = request.headers.get("Referer", "")
    is_safe = url_has_allowed_host_and_scheme(
        referer, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    # The very page that is guarded would send its readers round and round.
    is_loop = request.method in {"GET", "HEAD"} and urlsplit(referer).path == request.path
    return referer if is_safe and not is_loop else None


def varying(response: HttpResponse) -> HttpResponse:
    """Return the response, of which caches know that it depends on who asks."""
    patch_vary_headers(response, ["Accept"])
    return response


def _sends_json(request: HttpRequest) -> bool:
    # Of the header and not of the request: Django REST framework's has another `content_type`.
    sent = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return sent == "application/json" or sent.endswith("+json")

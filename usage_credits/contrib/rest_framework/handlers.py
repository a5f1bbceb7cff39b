"""Answer what the ledger refuses a view, whatever the view was about to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import views
from rest_framework.response import Response

from usage_credits.contrib.rest_framework.problems import turn_away
from usage_credits.gates.problems import problem_in


def exception_handler(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Answer InsufficientCredits, CapExceeded, IdempotencyConflict, InvalidOperation and InvalidValue as gates do.

    Name it as EXCEPTION_HANDLER in REST_FRAMEWORK. Everything else is left to the framework's own handler.
    """
    return views.exception_handler(as_api_exception(error, context), dict(context))


def as_api_exception(error: Exception, context: Mapping[str, Any]) -> Exception:
    """Return one of these errors as an APIException, for a handler of the project's own; any other error as it is."""
    problem = problem_in(error)
    return error if problem is None else turn_away(context["request"], problem)

"""Say in RFC 9457's terms why a request was refused."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured
from django.http import JsonResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from usage_credits.conf import format_credits
from usage_credits.exceptions import (
    CapExceeded,
    IdempotencyConflict,
    InsufficientCredits,
    InvalidOperation,
    InvalidValue,
)

logger = logging.getLogger("usage_credits")

CONTENT_TYPE: Final = "application/problem+json"

TYPES: Final = "urn:problem-type:usage-credits:"
"""What the `type` of each problem begins with."""

Refusal = InsufficientCredits | CapExceeded | IdempotencyConflict
"""The errors by which credits are refused to a request that is otherwise in order."""

REFUSALS: Final = (InsufficientCredits, CapExceeded, IdempotencyConflict)
"""The same, for an `except`."""


@dataclass(frozen=True)
class Problem:
    """One reason to refuse a request: an HTTP status, a type, and texts for people in the active language.

    `members` are what programs read besides; `headers` go with the answer.
    """

    status: int
    name: str
    title: str
    detail: str
    members: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """Return the members of the JSON object, the problem's own last; none of them is None."""
        facts = {
            "type": f"{TYPES}{self.name}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.members,
        }
        return {key: value for key, value in facts.items() if value is not None}

    def response(self) -> JsonResponse:
        """Return the answer for programs."""
        return JsonResponse(
            self.body(), status=self.status, content_type=CONTENT_TYPE, headers=dict(self.headers)
        )


def problem_of(refusal: Refusal, operation: str | None = None) -> Problem:
    """Return the problem of a refusal: 402 for credits that lack, 429 for a cap, 409 for a key of something else."""
    if isinstance(refusal, IdempotencyConflict):
        title = _("The idempotency key was used before")
        detail = _("The idempotency key was used for something else.")
        return Problem(409, "idempotency-conflict", title, detail, {"operation": operation})
    if isinstance(refusal, CapExceeded):
        return _capped(refusal, operation)
    detail = _("%(required)s are required, %(available)s are available.") % {
        "required": format_credits(refusal.required),
        "available": format_credits(refusal.available),
    }
    members = {"operation": operation, "available": refusal.available, "required": refusal.required}
    return Problem(402, "insufficient-credits", _("Not enough credits"), detail, members)


def unreadable(error: Exception, operation: str | None = None) -> Problem:
    """Return the problem of refused parameters; what crashed is for the log and not for the client."""
    if isinstance(error, InvalidOperation) and error.__cause__ is None:
        detail = str(error)
    else:
        logger.warning("The parameters of %r could not be read", operation, exc_info=error)
        detail = _("The parameters could not be read.")
    return Problem(400, "invalid-operation", _("Invalid parameters"), detail, {"operation": operation})


def invalid_value(error: InvalidValue, operation: str | None = None) -> Problem:
    """Return the problem of a value that is refused, with its `field`."""
    members = {"operation": operation, "field": error.field}
    return Problem(400, "invalid-value", _("Invalid value"), str(error), members)


def problem_in(error: Exception) -> Problem | None:
    """Return the problem of what a view raised, None for what is no fault of the request, as refused settings are."""
    if isinstance(error, Refusal):
        return problem_of(error)
    if isinstance(error, InvalidOperation):
        return unreadable(error)
    if isinstance(error, InvalidValue) and not isinstance(error, ImproperlyConfigured):
        return invalid_value(error)
    return None


def not_signed_in() -> Problem:
    """Return the problem of a request that nobody signed in has sent."""
    # RFC 9110 asks a 401 for a scheme; browsers ask nobody for a password by one that they do not know.
    headers = {"WWW-Authenticate": "Session"}
    title = _("Sign in first")
    return Problem(401, "not-signed-in", title, _("Sign in to use credits."), headers=headers)


def without_owner() -> Problem:
    """Return the problem of a request for which nobody pays."""
    title = _("Nobody to charge")
    return Problem(403, "no-owner", title, _("There is nobody whose credits you may use here."))


def _capped(refusal: CapExceeded, operation: str | None) -> Problem:
    detail = _("%(required)s are required, %(left)s may still be spent until %(resets_at)s.") % {
        "required": format_credits(refusal.required),
        "left": format_credits(refusal.left),
        "resets_at": date_format(timezone.localtime(refusal.resets_at), "DATETIME_FORMAT"),
    }
    members = {
        "operation": operation,
        "limit": refusal.limit,
        "left": refusal.left,
        "required": refusal.required,
        "resets_at": refusal.resets_at.isoformat(),
    }
    seconds = max(1, math.ceil((refusal.resets_at - timezone.now()).total_seconds()))
    headers = {"Retry-After": str(seconds)}
    return Problem(429, "spending-cap", _("The spending cap is reached"), detail, members, headers)

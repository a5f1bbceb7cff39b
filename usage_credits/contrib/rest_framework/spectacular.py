"""How drf-spectacular describes the API; imported only where that is installed."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.utils import OpenApiResponse, extend_schema

from usage_credits.contrib.rest_framework.serializers import CreditProblemSerializer
from usage_credits.gates.problems import CONTENT_TYPE

DETAIL: Final = {"type": "object", "properties": {"detail": {"type": "string"}}, "required": ["detail"]}
"""What the framework answers, whatever its handler of exceptions adds."""

ERRORS: Final = {
    "type": "object",
    "additionalProperties": {"oneOf": [{"type": "array", "items": {"type": "string"}}, {"type": "string"}]},
    "description": "What is wrong with each field.",
}

ALWAYS: Final = (401, 403)


class CreditViews(OpenApiViewExtension):  # type: ignore[no-untyped-call]
    """Adds to each view of the API by what it may refuse a request."""

    target_class = "usage_credits.contrib.rest_framework.views.CreditView"
    match_subclasses = True

    def view_replacement(self) -> Any:
        """Return the view with its answers; the view itself stays as it is."""
        view: Any = type(self.target.__name__, (self.target,), {"__doc__": self.target.__doc__})
        responses: dict[Any, Any] = {view.success: view.result_class or view.serializer_class}
        # An owner that is looked up may not be found.
        looked_up = {404} if self.target_callback.initkwargs.get("owner") else set()
        for status in sorted({*ALWAYS, *view.refusals, *looked_up}):
            responses |= _refusals(status)
        return extend_schema(responses=responses)(view)


def _refusals(status: int) -> dict[Any, Any]:
    said = HTTPStatus(status).phrase
    problem = {(status, CONTENT_TYPE): OpenApiResponse(CreditProblemSerializer, said)}
    if status == 503:
        return problem
    plain = {(status, "application/json"): OpenApiResponse(ERRORS if status == 400 else DETAIL, said)}
    return plain | problem if status == 403 else plain

"""The refusals of the fake, shaped as Stripe shapes them."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """A request that Stripe answers with an error; `status` is the HTTP status."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        kind: str = "invalid_request_error",
        **more: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"type": kind, "message": message, "code": code, "param": param, **more}

    @property
    def body(self) -> dict[str, Any]:
        """Return the JSON body of the answer."""
        return {"error": {name: value for name, value in self.error.items() if value is not None}}


def missing(kind: str, object_id: str, param: str = "id") -> Refusal:
    """Build the answer for an id that is not there."""
    return Refusal(404, f"No such {kind}: '{object_id}'", code="resource_missing", param=param)


def bad_parameter(param: str, message: str) -> Refusal:
    """Build the answer for a parameter that is missing or not allowed."""
    return Refusal(400, message, param=param, code="parameter_invalid")

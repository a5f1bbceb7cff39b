"""Problems as exceptions of Django REST framework, answered as RFC 9457 has it."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import APIException
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from usage_credits.gates.problems import CONTENT_TYPE, Problem


class CreditProblem(APIException):
    """What a request that may not pass is answered; `problem` is the `usage_credits.gates.problems.Problem`."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.status_code = problem.status
        # As it is: the framework would make texts of the numbers.
        self.detail: Any = problem.body()
        if "Retry-After" in problem.headers:
            self.wait = int(problem.headers["Retry-After"])

    def get_codes(self) -> str:
        """Return the name of the problem, for handlers of exceptions that have a format of their own."""
        return self.problem.name

    def get_full_details(self) -> Any:
        """Return its text and its name."""
        return {"message": self.problem.detail, "code": self.problem.name}


class ProblemRenderer(JSONRenderer):
    """JSON under the name that problems have."""

    media_type = CONTENT_TYPE
    format = "problem"


def turn_away(request: Request, problem: Problem) -> CreditProblem:
    """Return the exception to raise; who was to get JSON gets it as application/problem+json."""
    if isinstance(getattr(request, "accepted_renderer", None), JSONRenderer):
        request.accepted_renderer, request.accepted_media_type = ProblemRenderer(), CONTENT_TYPE
    return CreditProblem(problem)

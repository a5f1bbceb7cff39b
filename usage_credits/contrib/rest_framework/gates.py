"""Gates before views of Django REST framework: a permission that asks for credits, a decorator that charges them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from datetime import timedelta
from enum import Enum
from typing import Any, NoReturn, TypeVar, cast

from asgiref.sync import iscoroutinefunction
from rest_framework.exceptions import NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from usage_credits.contrib.rest_framework.problems import turn_away
from usage_credits.exceptions import InvalidValue
from usage_credits.gates.charges import Charging
from usage_credits.gates.gate import Attribution, Gate, Params, TurnedAway
from usage_credits.gates.requirements import Requirement
from usage_credits.values import check_operation

Handler = TypeVar("Handler", bound=Callable[..., Any])


def requires_credits(
    operation: str | Enum | None = None,
    *,
    amount: int | None = None,
    params: Params = None,
    owner: Callable[..., Any] | None = None,
    attributed_to: Attribution = None,
    methods: Iterable[str] | None = None,
) -> type[BasePermission]:
    """Return a permission class that lets requests pass only with the credits for `operation`, or for `amount`.

    Asks and answers what `usage_credits.requires_credits` does for programs, with the same options, but for who is not
    signed in: that is the view's authentication to answer. Its callables get the request of the framework, then what
    the URL gives the view. Raises InvalidValue for a refused option at once.
    """
    gate = _ApiGate(operation, params=params, owner=owner, attributed_to=attributed_to, methods=methods)

    class RequiresCredits(_CreditsPermission):
        requirement = Requirement(gate, amount)

    return RequiresCredits


def charges_credits(
    operation: str | Enum,
    *,
    params: Params = None,
    owner: Callable[..., Any] | None = None,
    idempotency_key: Callable[..., str | None] | None = None,
    attributed_to: Attribution = None,
    ttl: timedelta | None = None,
    methods: Iterable[str] | None = None,
) -> Callable[[Handler], Handler]:
    """Decorate a method of a view or viewset, or a function below `@api_view`: hold the price, run it, charge it.

    Charges what `usage_credits.charges_credits` does, with the same options: an answer below 400 is charged, an
    exception or any other answer is not, whatever the framework makes of the exception. The method runs in `atomic()`
    with its charge, after the view's permissions. Its response is rendered later, and charged all the same where that
    fails. Raises InvalidValue for a refused option and for a coroutine function at once.
    """
    gate = _ApiGate(
        check_operation(operation), params=params, owner=owner, attributed_to=attributed_to, methods=methods
    )
    charging = Charging(gate, idempotency_key, ttl)

    def decorate(handler: Handler) -> Handler:
        if iscoroutinefunction(handler):
            raise InvalidValue.of("handler", handler, "a plain function: the framework awaits none")

        @functools.wraps(handler)
        def call(*args: Any, **kwargs: Any) -> Any:
            # The first argument of a method is its view.
            start = 0 if isinstance(args[0], Request) else 1
            bound = functools.partial(handler, *args[:start])
            return charging.run(bound, args[start], args[start + 1 :], kwargs)

        return cast("Handler", call)

    return decorate


class _ApiGate(Gate):
    """A gate that answers by exceptions, of which the framework makes responses."""

    def answer(self, request: Any, away: TurnedAway) -> NoReturn:
        """Raise the answer to a request that may not pass."""
        if away.problem.status == 401:
            raise NotAuthenticated from away
        raise turn_away(request, away.problem) from away


class _CreditsPermission(BasePermission):
    requirement: Requirement

    def has_permission(self, request: Request, view: Any) -> bool:
        if self.requirement.gate.guards(cast("Any", request)) and not _is_probe(request):
            self.requirement.answer(cast("Any", request), view.args, view.kwargs)
        return True


def _is_probe(request: Request) -> bool:
    """Tell whether the framework only wants to know for which methods it may show a form, with no data for any."""
    return request.method != request._request.method

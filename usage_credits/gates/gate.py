"""What stands before a view: what it asks for, of whom, and what it answers to who is turned away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypedDict, cast

from asgiref.sync import async_to_sync, iscoroutinefunction
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse

from usage_credits.exceptions import InvalidOperation, InvalidValue
from usage_credits.gates import answers, problems
from usage_credits.gates.coverage import Spender
from usage_credits.owner_wallets import OwnsWallets
from usage_credits.spending import operation_named, quote
from usage_credits.values import check_operation

SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
"""What changes nothing, by the meaning of HTTP: no gate guards them unless it is told to."""

UNREADABLE: Final = (ArithmeticError, LookupError, TypeError, ValueError, ValidationError)
"""What reading numbers from a form or from JSON raises where the client sent something else."""

Params = Mapping[str, Any] | Callable[..., Mapping[str, Any] | Awaitable[Mapping[str, Any]]] | None
"""The parameters of the operation, or what gets the view's arguments and returns them."""

Attribution = str | Callable[..., str | None] | None
"""The API key or member that spends, or what gets the view's arguments and returns it."""

Message = Any
"""What a person is told: a text, lazy ones too, or what gets the request and the refusal and returns one."""


class GateOptions(TypedDict, total=False):
    """What every gate takes besides its operation. Callables get the view's arguments, the request first."""

    params: Params
    owner: Callable[..., Any] | None
    attributed_to: Attribution
    methods: Iterable[str] | None
    redirect_to: Any
    message: Message


class TurnedAway(Exception):
    """A request may not pass: `problem` tells why, `refusal` is the error where credits are refused."""

    def __init__(self, problem: problems.Problem, refusal: problems.Refusal | None = None) -> None:
        super().__init__(problem, refusal)
        self.problem = problem
        self.refusal = refusal


@dataclass(frozen=True)
class Use:
    """What a request asks for: who pays, the operation's parameters and price, and the key that spends."""

    owner: Spender
    params: dict[str, Any]
    price: int
    attributed_to: str | None


class Gate:
    """The options of one gate, and how it reads a request. Callables among them get the view's arguments."""

    def __init__(
        self,
        operation: str | Enum | None,
        *,
        params: Params = None,
        owner: Callable[..., Any] | None = None,
        attributed_to: Attribution = None,
        methods: Iterable[str] | None = None,
        redirect_to: Any = None,
        message: Message = None,
    ) -> None:
        """Check the options, whatever settings say by now; raises InvalidValue that names the refused one."""
        if params is not None and not isinstance(params, Mapping) and not callable(params):
            raise InvalidValue.of("params", params, "a mapping, a callable that returns one, or None")
        self.operation = None if operation is None else check_operation(operation)
        self._params = params or {}
        self._owner = check_option(owner, "owner")
        self._attributed_to = attributed_to
        self._methods = None if methods is None else _clean_methods(methods)
        self._redirect_to = redirect_to
        self._message = message

    def guards(self, request: HttpRequest) -> bool:
        """Tell whether this gate guards the request's method: by default each that is not safe."""
        if self._methods is None:
            return request.method not in SAFE_METHODS
        return request.method in self._methods

    def owner_of(self, request: HttpRequest, args: Any, kwargs: Any) -> Spender:
        """Return who pays: the user of the request by default. Raises TurnedAway where there is nobody."""
        user = getattr(request, "user", None)
        owner = user if self._owner is None else ask(self._owner, request, args, kwargs)
        if owner is None or getattr(owner, "is_authenticated", True) is False:
            is_known = getattr(user, "is_authenticated", False)
            raise TurnedAway(problems.without_owner() if is_known else problems.not_signed_in())
        if not isinstance(owner, OwnsWallets):
            raise InvalidValue.of("owner", owner, "an instance of a model with HasWallet")
        return cast("Spender", owner)

    def read(self, request: HttpRequest, args: Any, kwargs: Any) -> Use:
        """Return what the request asks for, its price worked out.

        Raises TurnedAway for nobody who pays and for parameters that are refused, and InvalidOperation where settings
        define no such operation, which is no fault of the request.
        """
        owner = self.owner_of(request, args, kwargs)
        operation = operation_named(self.operation)
        try:
            params = ask(self._params, request, args, kwargs)
        except (InvalidOperation, *UNREADABLE) as error:
            raise TurnedAway(problems.unreadable(error, self.operation)) from error
        if not isinstance(params, Mapping):
            raise InvalidValue.of("params", params, "a mapping")
        try:
            price = quote(operation.name, params).price
        except InvalidOperation as error:
            raise TurnedAway(problems.unreadable(error, self.operation)) from error
        return Use(owner, dict(params), price, ask(self._attributed_to, request, args, kwargs))

    def refused(self, refusal: problems.Refusal) -> TurnedAway:
        """Return why a request is turned away that lacks credits, may not spend them, or repeats another's key."""
        return TurnedAway(problems.problem_of(refusal, self.operation), refusal)

    def answer(self, request: HttpRequest, away: TurnedAway) -> HttpResponse:
        """Return the answer to a request that may not pass."""
        problem, refusal = away.problem, away.refusal
        if problem.status == 401:
            return answers.ask_to_sign_in(request, problem)
        if problem.status == 403:
            return answers.forbid(request, problem)
        if refusal is None or problem.status == 409:
            return problem.response()
        message = self._message(request, refusal) if callable(self._message) else self._message
        return answers.refuse(
            request, problem, message=message or problem.detail, redirect_to=self._redirect_to
        )


def ask(option: Any, request: HttpRequest, args: Any, kwargs: Any) -> Any:
    """Return an option's value for this request: what a callable, async ones too, returns, else the option."""
    if not callable(option):
        return option
    call = async_to_sync(option) if iscoroutinefunction(option) else option
    return call(request, *args, **kwargs)


def check_option(option: Any, field: str) -> Any:
    """Return an option that is a callable or None; raise InvalidValue for anything else."""
    if option is not None and not callable(option):
        raise InvalidValue.of(field, option, "a callable that gets the view's arguments, or None")
    return option


def _clean_methods(methods: object) -> frozenset[str]:
    names = methods if isinstance(methods, Iterable) and not isinstance(methods, str | bytes) else ()
    cleaned = frozenset(name.upper() if isinstance(name, str) else "" for name in names)
    if not cleaned or "" in cleaned:
        raise InvalidValue.of("methods", methods, "a list of HTTP methods, or None for all that are not safe")
    # Views answer HEAD by what they do for GET.
    return cleaned | {"HEAD"} if "GET" in cleaned else cleaned

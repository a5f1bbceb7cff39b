"""Let requests pass only where the credits are there; the view itself charges them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any, Unpack

from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse

from usage_credits.exceptions import InvalidValue
from usage_credits.gates.coverage import refusal_of, refusal_of_amount
from usage_credits.gates.gate import Gate, GateOptions, Message, TurnedAway
from usage_credits.gates.problems import Refusal
from usage_credits.gates.wrapping import View, awaited, wrapped
from usage_credits.values import check_amount

if TYPE_CHECKING:
    from django.views import View as _ViewClass
else:
    _ViewClass = object


def requires_credits(
    operation: str | Enum | None = None,
    *,
    amount: int | None = None,
    **options: Unpack[GateOptions],
) -> Callable[[View], View]:
    """Decorate a view, sync or async: without the credits for `operation` it does not run, and nothing is written.

    Charges nothing: two requests at once may both pass; see `charges_credits`. Without an operation it asks for
    `amount` credits (default 1). `params` is a mapping, or a callable that gets the view's arguments, the request
    first, and returns one; `owner` (default: `request.user`) and `attributed_to` (a key whose caps count) are such
    callables too. Guarded are `methods`, by default all but GET, HEAD, OPTIONS and TRACE.

    Answers 402 to programs, as RFC 9457 has it; sends people to `redirect_to` (as `redirect` takes it; default: the
    page before, on this host) with `message`, a text or a callable that gets the request and the refusal. Answers 401
    where nobody is signed in, people by a redirect to LOGIN_URL, and 400 for parameters that are refused. Raises
    InvalidValue for a refused option at once, InvalidOperation for an unknown operation when it is asked for.
    """
    return Requirement(Gate(operation, **options), amount).before


class Requirement:
    """A gate that lets pass who has enough credits."""

    def __init__(self, gate: Gate, amount: int | None = None) -> None:
        """Ask for the price of the gate's operation, or for `amount` (default 1) where it has none."""
        if amount is not None and gate.operation is not None:
            raise InvalidValue("amount", "give either an operation or an amount.")
        self.gate = gate
        self._amount = 1 if amount is None else check_amount(amount)

    def before(self, view: View) -> View:
        """Return `view` behind this gate."""
        return wrapped(view, self._run, self._run_async)

    def _run(self, view: Callable[..., Any], request: HttpRequest, args: Any, kwargs: Any) -> Any:
        answer = self.answer(request, args, kwargs) if self.gate.guards(request) else None
        return view(request, *args, **kwargs) if answer is None else answer

    async def _run_async(self, view: Callable[..., Any], request: HttpRequest, args: Any, kwargs: Any) -> Any:
        answer = (
            await sync_to_async(self.answer)(request, args, kwargs) if self.gate.guards(request) else None
        )
        return await awaited(view(request, *args, **kwargs)) if answer is None else answer

    def answer(self, request: HttpRequest, args: Any, kwargs: Any) -> HttpResponse | None:
        """Return the answer to a request that may not pass, None for one that may."""
        try:
            refusal = self._refusal(request, args, kwargs)
        except TurnedAway as away:
            return self.gate.answer(request, away)
        return None if refusal is None else self.gate.answer(request, self.gate.refused(refusal))

    def _refusal(self, request: HttpRequest, args: Any, kwargs: Any) -> Refusal | None:
        gate = self.gate
        if gate.operation is None:
            return refusal_of_amount(gate.owner_of(request, args, kwargs), self._amount)
        use = gate.read(request, args, kwargs)
        return refusal_of(use.owner, gate.operation, use.params, attributed_to=use.attributed_to)


class CreditsRequiredMixin(_ViewClass):
    """Let requests reach a class-based view, sync or async, only where its user has the credits for `operation`.

    Put it left of the view's class. Does and answers what `requires_credits` does; set the attributes or override the
    methods.
    """

    operation: str | Enum | None = None
    guarded_methods: Iterable[str] | None = None
    redirect_to: Any = None
    message: Message = None

    def get_operation(self) -> str | Enum:
        """Return the operation whose price is asked for: `operation`."""
        if self.operation is None:
            raise ImproperlyConfigured(
                f"{type(self).__name__} names no operation: set `operation` or override get_operation()."
            )
        return self.operation

    def get_params(self) -> Mapping[str, Any]:
        """Return the parameters of the operation for this request: none."""
        return {}

    def get_owner(self) -> Any:
        """Return who pays: the user of the request."""
        return self.request.user

    def get_attributed_to(self) -> str | None:
        """Return the API key or member whose caps count: none."""
        return None

    def get_message(self, refusal: Refusal) -> Any:
        """Return what a person is told, None for the text that says what is required and available."""
        message = self.message
        return message(self.request, refusal) if callable(message) else message

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Go on where the credits are there."""
        gate = Gate(
            self.get_operation(),
            params=lambda *_args, **_kwargs: self.get_params(),
            owner=lambda *_args, **_kwargs: self.get_owner(),
            attributed_to=lambda *_args, **_kwargs: self.get_attributed_to(),
            methods=self.guarded_methods,
            redirect_to=self.redirect_to,
            message=lambda _request, refusal: self.get_message(refusal),
        )
        return Requirement(gate).before(super().dispatch)(request, *args, **kwargs)

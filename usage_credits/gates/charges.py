"""Charge an operation around a view: hold the price, run the view, charge where it answers well."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from enum import Enum
from typing import Any, Unpack, cast

from asgiref.sync import sync_to_async
from django.http import HttpRequest, StreamingHttpResponse
from django.template.response import TemplateResponse

from usage_credits.charging import Charge, SpendingBlock
from usage_credits.dsl.setting_values import read_duration
from usage_credits.exceptions import InsufficientCredits, InvalidValue
from usage_credits.gates.gate import Gate, GateOptions, TurnedAway, ask, check_option
from usage_credits.gates.problems import REFUSALS, Refusal, invalid_value
from usage_credits.gates.streams import charge_when_sent
from usage_credits.gates.wrapping import View, awaited, wrapped
from usage_credits.ledger.keys import check_key
from usage_credits.values import check_operation


def charges_credits(
    operation: str | Enum,
    *,
    idempotency_key: Callable[..., str | None] | None = None,
    ttl: timedelta | None = None,
    **options: Unpack[GateOptions],
) -> Callable[[View], View]:
    """Decorate a view, sync or async: hold the price of `operation`, run the view, charge where it answers well.

    A status below 400 is charged, an exception or any other status is not; `request.credit_charge.used(…)` charges the
    price of what was used instead, `.amount = n` n credits. A sync view runs in `atomic()` with its charge: an
    exception undoes what it wrote, and so does a charge that is refused in the end. Template responses are rendered
    within. A streamed response is charged when it was read to its end. Without enough credits the view does not run
    and nothing is written.

    `idempotency_key` gets the view's arguments and returns a key or None: under a key that was charged before, the
    view runs and nothing more is charged, `request.credit_charge.transaction` being there from the start. `ttl` is how
    long the hold lasts (default: HOLD_TTL). The other options, and all answers, are those of `requires_credits`; where
    a cap of `attributed_to` leaves too little it answers 429, where the key was used for something else 409. For
    methods that are not guarded, and free work of an owner without a wallet, `request.credit_charge` is None.

    Within a transaction of the caller's (ATOMIC_REQUESTS) the wallet stays locked until that has committed.
    """
    gate = Gate(check_operation(operation), **options)
    charging = Charging(gate, idempotency_key, ttl)
    return lambda view: wrapped(view, charging.run, charging.run_async)


class Charging:
    """A gate that charges those who pass."""

    def __init__(
        self, gate: Gate, idempotency_key: Callable[..., str | None] | None, ttl: timedelta | None
    ) -> None:
        """Check the options as `charges_credits` has them; raises InvalidValue that names the refused one."""
        self._gate = gate
        self._key_of = check_option(idempotency_key, "idempotency_key")
        self._ttl = None if ttl is None else read_duration(ttl, "ttl")

    def run(self, view: Callable[..., Any], request: Any, args: Any, kwargs: Any) -> Any:
        """Return the view's response, charged, or the answer to who is turned away."""
        request.credit_charge = None
        if not self._gate.guards(request):
            return view(request, *args, **kwargs)
        work = _Work()
        try:
            with self._block(request, args, kwargs) as charge, work:
                request.credit_charge = charge
                response = view(request, *args, **kwargs)
                if isinstance(response, TemplateResponse):
                    response.render()
                _end(charge, response)
            return response
        except (TurnedAway, *REFUSALS) as error:
            return self._answer(request, error, work)

    async def run_async(self, view: Callable[..., Any], request: Any, args: Any, kwargs: Any) -> Any:
        """Do the same for a view that is awaited; what it wrote is not undone."""
        request.credit_charge = None
        if not self._gate.guards(request):
            return await awaited(view(request, *args, **kwargs))
        work = _Work()
        try:
            block = await sync_to_async(self._block)(request, args, kwargs)
            async with block as charge:
                with work:
                    request.credit_charge = charge
                    response = await awaited(view(request, *args, **kwargs))
                    if isinstance(response, TemplateResponse):
                        await sync_to_async(response.render)()
                    _end(charge, response)
            return response
        except (TurnedAway, *REFUSALS) as error:
            return await sync_to_async(self._answer)(request, error, work)

    def _block(self, request: HttpRequest, args: Any, kwargs: Any) -> SpendingBlock | nullcontext[None]:
        """Return what the view runs in; raises TurnedAway."""
        use = self._gate.read(request, args, kwargs)
        key = self._key(request, args, kwargs)
        if not use.owner.wallet_options.auto_create and not use.owner.has_wallet():
            if use.price:
                raise self._gate.refused(InsufficientCredits(0, use.price))
            return nullcontext()
        return use.owner.spending_credits_on(
            self._gate.operation,
            ttl=self._ttl,
            idempotency_key=key,
            attributed_to=use.attributed_to,
            **use.params,
        )

    def _key(self, request: HttpRequest, args: Any, kwargs: Any) -> str | None:
        """Return the key of this request; raises TurnedAway for what cannot be one, as it may be the client's."""
        try:
            return check_key(ask(self._key_of, request, args, kwargs))
        except InvalidValue as error:
            raise TurnedAway(invalid_value(error, self._gate.operation)) from error

    def _answer(self, request: HttpRequest, error: Exception, work: _Work) -> Any:
        """Return the answer to who is turned away; raise what the view itself raised."""
        if error is work.error:
            raise error
        away = error if isinstance(error, TurnedAway) else self._gate.refused(cast("Refusal", error))
        return self._gate.answer(request, away)


class _Work:
    """The view's own work, whose error is not the gate's to answer."""

    error: BaseException | None = None

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.error = error


def _end(charge: Charge | None, response: Any) -> None:
    """Charge nothing for a response that reports an error, and later for one that is still to be streamed."""
    if charge is None:
        return
    # What is no response at all is Django's to complain about.
    if getattr(response, "status_code", 500) >= 400:
        charge.amount = 0
    elif isinstance(response, StreamingHttpResponse):
        charge_when_sent(response, charge)

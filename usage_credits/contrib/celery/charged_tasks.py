"""Charge an operation around the body of a task, once however often the task is run."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import Any, TypeVar, cast

from celery import Task, current_task

from usage_credits.charging import SpendingBlock
from usage_credits.dsl.setting_values import read_duration
from usage_credits.exceptions import InvalidValue
from usage_credits.owners import HasWallet
from usage_credits.spending import quote
from usage_credits.values import check_operation

Body = TypeVar("Body", bound=Callable[..., Any])


def charged_task(
    operation: str | Enum,
    *,
    owner: Callable[..., Any],
    params: Mapping[str, Any] | Callable[..., Mapping[str, Any]] | None = None,
    idempotency_key: Callable[..., str | None] | None = None,
    attributed_to: str | Callable[..., str | None] | None = None,
    ttl: timedelta | None = None,
) -> Callable[[Body], Body]:
    """Decorate a task's body, below `shared_task`: hold the price, run the body, charge where it returns.

    `owner`, `params`, `idempotency_key` and `attributed_to` get the task's arguments, without the task itself where it
    is bound. The key is the task's id by default, None for a body that is called as a function: whatever is run again
    under one id, by a retry or because its message came twice, is charged once. The body runs in `atomic()` with its
    charge; an exception, `self.retry()` too, undoes both and releases the hold. `ttl` is how long the hold lasts
    (default: HOLD_TTL), also after a worker was killed. Within the body `current_task.request.credit_charge` is its
    `usage_credits.charging.Charge`: `.used(…)` charges the price of what was used instead, `.amount = n` n credits;
    `.transaction` is there from the start where it was charged before.

    Raises InvalidValue for a refused option at once. The task raises InsufficientCredits, and InvalidOperation for
    an unknown operation or refused parameters, before its body runs.
    """
    if not callable(owner):
        raise InvalidValue.of("owner", owner, "a callable that gets the task's arguments")
    if idempotency_key is not None and not callable(idempotency_key):
        raise InvalidValue.of("idempotency_key", idempotency_key, "a callable, or None for the task's id")
    return _Charging(
        operation=check_operation(operation),
        owner=owner,
        params=params or {},
        key=idempotency_key or _task_id,
        attributed_to=attributed_to,
        ttl=None if ttl is None else read_duration(ttl, "ttl"),
    ).around


@dataclass(frozen=True, kw_only=True)
class _Charging:
    """What a task is charged; callables get the arguments of the task."""

    operation: str
    owner: Callable[..., Any]
    params: Any
    key: Callable[..., str | None]
    attributed_to: Any
    ttl: timedelta | None

    def around(self, body: Body) -> Body:
        """Return the body as a function that is charged for each run."""

        @functools.wraps(body)
        def run(*args: Any, **kwargs: Any) -> Any:
            given = args[1:] if args and isinstance(args[0], Task) else args
            with self._block(given, kwargs) as charge:
                if current_task:
                    current_task.request.credit_charge = charge
                return body(*args, **kwargs)

        # Celery checks the arguments that a task is sent with by its body's signature.
        vars(run)["__signature__"] = inspect.signature(body)
        return cast("Body", run)

    def _block(self, args: Any, kwargs: Any) -> SpendingBlock:
        params = dict(_ask(self.params, args, kwargs))
        # Refuses parameters that are named like the options below.
        quote(self.operation, params)
        owner = self.owner(*args, **kwargs)
        if not isinstance(owner, HasWallet):
            raise InvalidValue.of("owner", owner, "an instance of a model with HasWallet")
        return owner.spending_credits_on(
            self.operation,
            ttl=self.ttl,
            idempotency_key=self.key(*args, **kwargs),
            attributed_to=_ask(self.attributed_to, args, kwargs),
            **params,
        )


def _ask(option: Any, args: Any, kwargs: Any) -> Any:
    return option(*args, **kwargs) if callable(option) else option


def _task_id(*_args: object, **_kwargs: object) -> str | None:
    """Return the id of the task that runs, which its retries share; None outside of one."""
    return cast("str | None", current_task.request.id) if current_task else None

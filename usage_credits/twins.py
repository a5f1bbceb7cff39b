"""Async twins: what a call does, for code that awaits it.

A twin bears the name of its call with the prefix `a`. The call runs as one whole in the thread in which Django keeps
its connection, so that its transaction begins and ends there; contextvars go with it, what it raises comes back.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from asgiref.sync import sync_to_async

Params = ParamSpec("Params")
Result = TypeVar("Result")
Self = TypeVar("Self")


def twin(call: Callable[Params, Result]) -> Callable[Params, Coroutine[Any, Any, Result]]:
    """Return the async twin of a function."""

    @functools.wraps(call)
    async def call_async(*args: Params.args, **kwargs: Params.kwargs) -> Result:
        return await sync_to_async(call)(*args, **kwargs)

    return _named_after(call, call_async)


def twin_method(
    method: Callable[Concatenate[Self, Params], Result],
) -> Callable[Concatenate[Self, Params], Coroutine[Any, Any, Result]]:
    """Return the async twin of a method, which calls what a subclass has put in the method's place."""
    name = method.__name__

    @functools.wraps(method)
    async def call_async(self: Self, /, *args: Params.args, **kwargs: Params.kwargs) -> Result:
        call: Callable[Params, Result] = getattr(self, name)
        return await sync_to_async(call)(*args, **kwargs)

    return _named_after(method, call_async)


Twin = TypeVar("Twin", bound=Callable[..., Any])


def _named_after(call: Callable[..., Any], call_async: Twin) -> Twin:
    parents, dot, name = call.__qualname__.rpartition(".")
    call_async.__name__ = f"a{name}"
    call_async.__qualname__ = f"{parents}{dot}a{name}"
    call_async.__doc__ = (
        f"Await `{name}`, which runs as one whole in Django's thread.\n\n{inspect.getdoc(call) or ''}"
    )
    return call_async

"""Put what a gate does around a view, whether the view is called or awaited."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest

View = TypeVar("View", bound=Callable[..., Any])


def wrapped(view: View, run: Callable[..., Any], run_async: Callable[..., Awaitable[Any]]) -> View:
    """Return a view that calls `run(view, request, args, kwargs)`, or awaits `run_async` where `view` is awaited."""

    @functools.wraps(view)
    def call(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return run(view, request, args, kwargs)

    @functools.wraps(view)
    async def call_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return await run_async(view, request, args, kwargs)

    is_async = iscoroutinefunction(view) or _is_of_async_view(view)
    return cast("View", call_async if is_async else call)


async def awaited(response: Any) -> Any:
    """Return a view's response, awaited where the view returned what is to be."""
    return await response if isawaitable(response) else response


def _is_of_async_view(method: Any) -> bool:
    """Tell whether this is the method of an async class-based view, whose `dispatch` is a plain function.

    `method_decorator` hands decorators a partial of the bound method, each wrapped in those further in.
    """
    while method is not None:
        bound = method.func if isinstance(method, functools.partial) else method
        if getattr(getattr(bound, "__self__", None), "view_is_async", False):
            return True
        method = getattr(method, "__wrapped__", None)
    return False

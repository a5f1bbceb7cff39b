"""Put what a gate does around a view, whether the view is called or awaited."""

from __future__ import annotations

import asyncio
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
        # `dispatch` of an async view is a plain function that returns what is awaited.
        step = run_async if _is_awaited() else run
        return step(view, request, args, kwargs)

    @functools.wraps(view)
    async def call_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return await run_async(view, request, args, kwargs)

    return cast("View", call_async if iscoroutinefunction(view) else call)


async def awaited(response: Any) -> Any:
    """Return a view's response, awaited where the view returned what is to be."""
    return await response if isawaitable(response) else response


def _is_awaited() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True

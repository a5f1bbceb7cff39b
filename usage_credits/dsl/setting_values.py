"""Read the value of each setting: what it may be, and what it stands for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from difflib import get_close_matches
from enum import Enum
from typing import Any, Final, Literal, cast, get_args

from usage_credits.dsl.categories import DEFAULT_CATEGORIES, MAX_CATEGORY
from usage_credits.dsl.events import EVENTS
from usage_credits.dsl.thresholds import Share, Threshold
from usage_credits.exceptions import InvalidValue
from usage_credits.values import check_amount, check_text

TransferPolicy = Literal["preserve", "none"]
"""Whether transferred credits keep their expiry or lose it."""

TRANSFER_POLICIES: Final = (*get_args(TransferPolicy), "fixed")
"""Every policy that one transfer may have; a fixed expiry needs a date and so is no default."""

Hook = Callable[..., Any] | str
"""A callable, or the dotted path under which it is imported on first use."""

Listed = tuple[object, ...] | str
"""Definitions, or the dotted path of a list of them."""

_DIGITS: Final = re.compile(r"[0-9]{1,19}")

SHORTEST_GRACE: Final = timedelta(seconds=1)

LARGEST_COUNT: Final = 1_000


def read_flag(value: object, key: str) -> bool:
    """Return True or False."""
    if not isinstance(value, bool):
        raise InvalidValue.of(key, value, "True or False")
    return value


def read_threshold(value: object, key: str) -> int | None:
    """Return whole credits from 0 up, also given as text, or None."""
    if value is None:
        return None
    if isinstance(value, str) and _DIGITS.fullmatch(value.strip()):
        value = int(value)
    try:
        return check_amount(value, key, minimum=0)
    except InvalidValue:
        raise InvalidValue.of(key, value, "a whole number of credits from 0 up, or None") from None


def read_thresholds(value: object, key: str) -> tuple[Threshold, ...]:
    """Return a list's thresholds, each once: whole credits from 0 up, also as text, or shares such as "20%"."""
    if not isinstance(value, list | tuple):
        raise InvalidValue.of(key, value, 'a list of whole numbers of credits and shares such as "20%"')
    return tuple(dict.fromkeys(_read_one_threshold(item, key) for item in value))


def _read_one_threshold(item: object, key: str) -> Threshold:
    share = Share.parse(item) if isinstance(item, str) else None
    try:
        threshold = share or read_threshold(item, key)
    except InvalidValue:
        threshold = None
    if threshold is None:
        raise InvalidValue.of(key, item, 'a whole number of credits from 0 up, or a share such as "20%"')
    return threshold


def read_grace(value: object, key: str) -> timedelta:
    """Return a duration of at least a second; None and 0 mean the shortest."""
    if value is None or (type(value) is int and value == 0):
        return SHORTEST_GRACE
    if not isinstance(value, timedelta) or value < timedelta(0):
        raise InvalidValue.of(key, value, "a timedelta from 0 up, or None")
    return max(value, SHORTEST_GRACE)


def read_duration(value: object, key: str) -> timedelta:
    """Return a duration of at least a second."""
    if not isinstance(value, timedelta) or value < timedelta(seconds=1):
        raise InvalidValue.of(key, value, "a timedelta of at least 1 second")
    return value


def read_count(value: object, key: str) -> int:
    """Return a whole number from 1 up."""
    if type(value) is not int or not 1 <= value <= LARGEST_COUNT:
        raise InvalidValue.of(key, value, f"a whole number (int) from 1 to {LARGEST_COUNT}")
    return value


def read_categories(value: object, key: str) -> tuple[str, ...]:
    """Return the categories that a list or tuple adds to the default ones: as text, stripped, each once."""
    if not isinstance(value, list | tuple):
        raise InvalidValue.of(key, value, "a list or tuple of names")
    names = (
        str(item.value if isinstance(item, Enum) else item).strip() for item in value if item is not None
    )
    added = (name for name in names if name and name not in DEFAULT_CATEGORIES)
    return tuple(dict.fromkeys(check_text(name, key, max_length=MAX_CATEGORY) for name in added))


def read_transfer_policy(value: object, key: str) -> TransferPolicy:
    """Return "preserve" or "none", given in any letter case."""
    policy = value.strip().lower() if isinstance(value, str) else value
    if policy not in get_args(TransferPolicy):
        raise InvalidValue.of(key, value, '"preserve" or "none"')
    return cast(TransferPolicy, policy)


def read_transfer_policies(value: object, key: str) -> tuple[str, ...]:
    """Return some of "preserve", "none" and "fixed", given in any letter case."""
    listed = value if isinstance(value, list | tuple) else ()
    policies = tuple(item.strip().lower() if isinstance(item, str) else "" for item in listed)
    if not policies or not set(policies) <= set(TRANSFER_POLICIES):
        raise InvalidValue.of(key, value, 'a list of some of "preserve", "none" and "fixed"')
    return tuple(dict.fromkeys(policies))


def read_hook(value: object, key: str) -> Hook | None:
    """Return a callable or a dotted path, unimported; None means that there is none."""
    if value is None or callable(value):
        return value
    return read_path(value, key, "a callable, its dotted path or None")


def read_list(value: object, key: str) -> Listed:
    """Return a list's definitions, or the dotted path of one, unimported."""
    allowed = "a list or tuple of definitions, or the dotted path of one"
    if isinstance(value, str):
        return read_path(value, key, allowed)
    if not isinstance(value, list | tuple):
        raise InvalidValue.of(key, value, allowed)
    return tuple(value)


def read_callbacks(value: object, key: str) -> dict[str, tuple[Hook, ...]]:
    """Return the callbacks of each event: for each a callable, a dotted path or a list of them was given."""
    if not isinstance(value, Mapping):
        raise InvalidValue.of(key, value, "a mapping of event names to callables or dotted paths")
    return {_read_event(event, key): _read_hooks(hooks, key) for event, hooks in value.items()}


def read_path(value: object, key: str, allowed: str) -> str:
    """Return a dotted path of at least a module and a name."""
    if not isinstance(value, str) or "." not in value or not all(map(str.isidentifier, value.split("."))):
        raise InvalidValue.of(key, value, allowed)
    return value


def suggest(value: object, known: tuple[str, ...]) -> str:
    """Return the end of an error message: the nearest known name, or all of them."""
    nearest = get_close_matches(str(value), known, n=1)
    return f"did you mean {nearest[0]!r}?" if nearest else f"allowed are {', '.join(known)}."


def _read_event(event: object, key: str) -> str:
    if event not in EVENTS:
        raise InvalidValue(key, f"there is no event {event!r}, {suggest(event, EVENTS)}")
    return str(event)


def _read_hooks(hooks: object, key: str) -> tuple[Hook, ...]:
    listed = hooks if isinstance(hooks, list | tuple) else (hooks,)
    allowed = "a callable, its dotted path or a list of them"
    return tuple(hook if callable(hook) else read_path(hook, key, allowed) for hook in listed)

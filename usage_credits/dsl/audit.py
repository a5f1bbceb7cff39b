"""Reduce whatever a caller passed to what a JSON column holds, without ever failing."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from usage_credits.values import MAX_AMOUNT, MAX_TEXT

_DEEPEST: Final = 20


def json_safe(value: object, depth: int = 0) -> Any:
    """Return a JSON copy of any value; what JSON cannot hold becomes text of at most 255 characters.

    Mappings and sequences are followed 20 levels deep. Text loses NUL characters and half surrogate pairs,
    which no database stores, to their escapes.
    """
    if value is None or isinstance(value, bool):
        return value
    if depth > _DEEPEST:
        return _as_text(value)
    match value:
        case Enum():
            return json_safe(value.value, depth + 1)
        case int() if -MAX_AMOUNT <= value <= MAX_AMOUNT:
            return int(value)
        case float() if math.isfinite(value):
            return float(value)
        case str():
            return _storable(value)
        case datetime.date() | datetime.time():
            return value.isoformat()
        case Mapping():
            return {_as_text(key): json_safe(item, depth + 1) for key, item in value.items()}
        case list() | tuple():
            return [json_safe(item, depth + 1) for item in value]
        case set() | frozenset():
            return sorted((json_safe(item, depth + 1) for item in value), key=repr)
    return _as_text(value)


def _as_text(value: object) -> str:
    """Any object may come in here, and its own text may fail in any way: the charge must not."""
    try:
        return _storable(str(value)[:MAX_TEXT])
    except Exception:
        return f"<{type(value).__name__}>"


def _storable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")

"""Check plain values the same way everywhere: amounts, moments, short texts, metadata."""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from usage_credits.exceptions import InvalidAmount, InvalidValue

MAX_AMOUNT = 2**63 - 1
"""The largest amount that a 64-bit column holds."""

_ESCAPED_NUL = re.compile(r"(?<!\\)(\\\\)*\\u0000")

MAX_TEXT = 255
"""The longest key, category or id that is stored, in characters."""

PRIORITIES = range(-(2**15), 2**15)
"""The priorities that a 16-bit column holds."""

MAX_BATCH = 10_000
"""How many wallets, or fulfillments, a job locks and commits together at most."""

MAX_DEPTH = 30
"""How many mappings and lists metadata may nest: one less than MariaDB stores."""


def check_amount(value: object, field: str = "amount", *, minimum: int = 1) -> int:
    """Return `value` if it is a whole number of credits from `minimum` to 2**63 - 1.

    Accepts `int` only: bool, float, Decimal and str are refused, so that no rounding is ever hidden.
    Raises InvalidAmount.
    """
    if type(value) is not int or not minimum <= value <= MAX_AMOUNT:
        raise InvalidAmount.of(field, value, f"a whole number (int) from {minimum} to 2**63 - 1")
    return value


def check_text(value: object, field: str, *, max_length: int = MAX_TEXT) -> str:
    """Return the text of a `str` or `str`-valued Enum; raise InvalidValue if it is blank, too long or holds a NUL."""
    text = value.value if isinstance(value, Enum) else value
    if not isinstance(text, str) or not text.strip() or len(text) > max_length or not _storable(text):
        raise InvalidValue.of(field, value, f"text of 1 to {max_length} characters")
    return str(text)


def check_operation(value: object, field: str = "operation") -> str:
    """Return the name of an operation (`str` or `str`-valued Enum): one line of 1 to 255 characters.

    Raises InvalidValue. Line breaks are refused because they part the names where a scope is stored.
    """
    name = check_text(value, field)
    if "\n" in name:
        raise InvalidValue.of(field, value, f"a name of 1 to {MAX_TEXT} characters in one line")
    return name


def check_scope(value: object, field: str = "scope") -> tuple[str, ...] | None:
    """Return the names of operations sorted, each once; None, for any operation, as it is.

    Raises InvalidValue for one plain name, for none at all, and for what is no name.
    """
    if value is None:
        return None
    names = value if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping) else ()
    scope = tuple(sorted({check_operation(name, field) for name in names}))
    if not scope:
        raise InvalidValue.of(field, value, "a list of at least one operation's name, or None for any")
    return scope


def check_priority(value: object, field: str = "priority") -> int:
    """Return a priority, a whole number (int) from -32768 to 32767; raise InvalidValue for anything else."""
    if type(value) is not int or value not in PRIORITIES:
        raise InvalidValue.of(
            field,
            value,
            f"a whole number (int) from {PRIORITIES[0]} to {PRIORITIES[-1]}, lower is spent first",
        )
    return value


def check_moment(value: object, field: str) -> datetime.datetime | None:
    """Return an aware datetime (or None) unchanged; read a plain date as midnight UTC.

    Raises InvalidValue for a naive datetime and for anything else.
    """
    if value is None:
        return None
    if isinstance(value, datetime.datetime):
        if value.utcoffset() is None:
            raise InvalidValue(
                field, f"got the naive datetime {value!r}, allowed is an aware datetime, a date or None."
            )
        try:
            value.astimezone(datetime.UTC)
        except OverflowError as error:
            raise InvalidValue.of(field, value, "a moment within the years 1 to 9999 in UTC") from error
        return value
    if isinstance(value, datetime.date):
        return datetime.datetime(value.year, value.month, value.day, tzinfo=datetime.UTC)
    raise InvalidValue.of(field, value, "an aware datetime, a date or None")


def check_metadata(value: object, field: str = "metadata") -> dict[str, Any]:
    """Return a fresh JSON copy of a mapping; None gives {}.

    Dates, times, durations, UUIDs, Decimals and enums become text. Raises InvalidValue for anything that is not a
    mapping or that JSON, and so the database, cannot hold: NaN, infinities, NUL characters, lone surrogates, cycles,
    more than 30 levels of nesting.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidValue.of(field, value, "a mapping that JSON can hold, or None")
    try:
        text = json.dumps(dict(value), default=_json_text, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValue(field, f"JSON cannot hold it ({error}).") from error
    if not _storable(text) or _ESCAPED_NUL.search(text):
        raise InvalidValue(
            field, "it holds a NUL character or half a surrogate pair, which no database stores."
        )
    copy: dict[str, Any] = json.loads(text)
    if _nests_deeper(copy, MAX_DEPTH):
        raise InvalidValue(field, f"it nests more than {MAX_DEPTH} mappings and lists.")
    return copy


def _nests_deeper(value: object, levels: int) -> bool:
    match value:
        case dict():
            inner: Iterable[object] = value.values()
        case list():
            inner = value
        case _:
            return False
    return levels == 0 or any(_nests_deeper(item, levels - 1) for item in inner)


def _json_text(value: object) -> Any:
    match value:
        case datetime.datetime() | datetime.date() | datetime.time():
            return value.isoformat()
        case Enum():
            return value.value
        case datetime.timedelta() | Decimal() | UUID():
            return str(value)
        case Mapping():
            return dict(value)
        case set() | frozenset():
            return sorted(value, key=repr)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _storable(text: str) -> bool:
    if "\x00" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_finite_number(value: object) -> bool:
    """Tell whether `value` is an int, float or Decimal that is finite; bool does not count as a number."""
    if isinstance(value, bool):
        return False
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Decimal):
        return value.is_finite()
    return isinstance(value, int)

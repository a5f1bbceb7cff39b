"""What callers pass by mistake, and one value of each kind that no argument accepts."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

cycle: dict[str, Any] = {}
cycle["self"] = cycle

nested: dict[str, Any] = {}
for _ in range(40):
    nested = {"deeper": nested}

AMOUNTS: list[Any] = [
    None,
    True,
    False,
    0,
    -5,
    10.0,
    10.5,
    float("nan"),
    float("inf"),
    float("-inf"),
    Decimal("10"),
    Decimal("NaN"),
    "10",
    2**63,
    10**5000,
]
METADATA: list[Any] = [
    {"object": object()},
    {"nan": float("nan")},
    {"infinity": float("inf")},
    {"nul": "a\x00b"},
    {"\x00": 1},
    {"surrogate": "\ud800"},
    {("tuple",): 1},
    cycle,
    nested,
    ["a", "list"],
    "text",
    b"bytes",
    7,
]
KEYS: list[Any] = ["", "   ", "k" * 256, "nul\x00", "\ud800", 5, b"bytes", True, ["k"]]
OPERATIONS: list[Any] = ["", "   ", "n" * 256, "two\nlines", "nul\x00", "\ud800", 5, b"bytes", True, ["chat"]]
PRIORITIES: list[Any] = [None, True, 1.0, "1", 2**15, -(2**15) - 1, [1]]
SCOPES: list[Any] = ["chat", b"chat", [], (), set(), {"chat": 1}, 5, True, [None]]
SCOPES += [["chat", name] for name in OPERATIONS]
CATEGORIES: list[Any] = ["no_such_category", "", " bonus", "Bonus", 5, ["bonus"], b"bonus", "bonus\x00"]
EXPIRIES: list[Any] = [
    datetime.datetime(2999, 1, 1),
    "2999-01-01",
    4_102_444_800,
    datetime.timedelta(days=1),
    True,
    datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC),
    datetime.date(2000, 1, 1),
    datetime.datetime(9999, 12, 31, 23, 59, tzinfo=datetime.timezone(-datetime.timedelta(hours=5))),
]


def named(value: object) -> str:
    """Return a short name of a value for the name of its test."""
    if type(value) is int and abs(value) >= 10**5:
        return f"int of {value.bit_length()} bits"
    if isinstance(value, dict):
        return "mapping with " + str(next(iter(value)))[:8].encode("ascii", "backslashreplace").decode()
    return f"{type(value).__name__} {value!r}"[:40].encode("ascii", "backslashreplace").decode()

"""Check a transaction's category against the defaults and ADDITIONAL_CATEGORIES."""

from __future__ import annotations

from enum import Enum

from usage_credits import conf
from usage_credits.exceptions import InvalidValue


def check_category(value: object, *, default: str) -> str:
    """Return a known category, `default` for None; raise InvalidValue for one that settings do not name."""
    if value is None:
        return default
    category = value.value if isinstance(value, Enum) else value
    known = conf.current().categories
    if not isinstance(category, str) or category not in known:
        raise InvalidValue.of(
            "category", value, f"one of {', '.join(known)}; ADDITIONAL_CATEGORIES takes others"
        )
    return category

"""Name the units that a price can count: sizes, plain units, and parameters of the caller."""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from typing import Any, Final

from usage_credits.exceptions import InvalidValue

BYTES_IN: Final[Mapping[str, int]] = {"mb": 1024**2, "kb": 1024, "gb": 1024**3}
"""Bytes in each size unit, in the order in which the caller's forms are looked for."""

_LONG_NAMES: Final[Mapping[str, str]] = {"mb": "megabyte", "kb": "kilobyte", "gb": "gigabyte"}

SIZE_FORMS: Final[Mapping[str, int]] = {
    form: BYTES_IN[unit]
    for unit, long_name in _LONG_NAMES.items()
    for form in (unit, f"size_{unit}", f"size_{long_name}s")
} | {"size": 1}
"""How a caller may give a size, with the bytes one of it stands for; the first one given wins."""

UNIT_SPELLINGS: Final[tuple[str, str]] = ("units", "unit")
"""Two spellings of one parameter."""

_ONE_PARAMETER: Final = (frozenset(SIZE_FORMS), frozenset(UNIT_SPELLINGS))

OPTION_NAMES: Final[tuple[str, ...]] = ("idempotency_key", "attributed_to", "metadata", "ttl", "amount")
"""What spending calls take for themselves and no operation can have as a parameter."""

_ALIASES: Final[Mapping[str, str]] = {
    alias: unit for unit, long_name in _LONG_NAMES.items() for alias in (unit, long_name, f"{long_name}s")
} | dict.fromkeys(UNIT_SPELLINGS, "units")


def clean_unit(value: object) -> str:
    """Return the canonical name of a unit: kb, mb, gb, units or the name of a parameter.

    kb, mb, gb, their long names and unit/units are known in any letter case. Any other unit must be a Python
    identifier, since the caller passes it as a keyword. Raises InvalidValue.
    """
    known = _ALIASES.get(value.lower()) if isinstance(value, str) else None
    if known is not None:
        return known
    if not isinstance(value, str) or not value.isidentifier() or keyword.iskeyword(value):
        raise InvalidValue.of(
            "unit", value, "kb, mb, gb, unit or the name of a parameter (a Python identifier)"
        )
    if value in OPTION_NAMES:
        raise InvalidValue.of(
            "unit", value, f"a name other than those of the spending options: {', '.join(OPTION_NAMES)}"
        )
    return value


def lay_over(params: Mapping[str, Any], anew: Mapping[str, Any]) -> dict[str, Any]:
    """Return `params` with what `anew` gives in its place, however either of them spells a size or a unit."""
    replaced = {form for forms in _ONE_PARAMETER if forms & anew.keys() for form in forms}
    kept = {name: value for name, value in params.items() if name not in replaced}
    return {**kept, **anew}

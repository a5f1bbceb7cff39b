"""What a charge was for: the model and the member that its parameters name, its tokens and what they cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from usage_credits.dsl.operations import Quote
from usage_credits.dsl.rate_tables import MODEL
from usage_credits.ledger.entries import Use
from usage_credits.values import MAX_TEXT

MEMBER = "member"
"""The parameter that names who within the owner spent."""


def use_of(quoted: Quote, audit: Mapping[str, Any]) -> Use | None:
    """Return the use that a quote prices, None for one that has nothing to report; `audit` is what its row keeps."""
    named = use_named_in(audit)
    cost = quoted.provider_cost
    if quoted.tokens is None and cost is None:
        return named
    return replace(
        named or Use(),
        tokens=quoted.tokens,
        provider_cost_nanos=cost.nanos if cost else None,
        provider_currency=cost.currency if cost else None,
    )


def use_named_in(audit: Mapping[str, Any]) -> Use | None:
    """Return the model and the member among the parameters that a charge keeps, None where they name neither.

    Names are text of 1 to 255 characters, or whole numbers; anything else names nothing, and fails no charge.
    """
    params = audit.get("params")
    if not isinstance(params, Mapping):
        return None
    model, member = _name(params.get(MODEL)), _name(params.get(MEMBER))
    return None if model is None and member is None else Use(model=model, member=member)


def _name(value: object) -> str | None:
    text = str(value) if type(value) is int else value
    return text if isinstance(text, str) and 0 < len(text) <= MAX_TEXT else None

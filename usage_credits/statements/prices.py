"""Write money for people."""

from __future__ import annotations

from django.utils.formats import number_format

from usage_credits.dsl.money import Money


def price_text(money: Money) -> str:
    """Return "49.99 USD", the number as the active locale has it."""
    return f"{number_format(money.decimal)} {money.code}"

"""Money as Stripe counts it: whole minor units of a currency."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from usage_credits.exceptions import InvalidValue
from usage_credits.values import MAX_AMOUNT, check_amount, is_finite_number

DEFAULT_CURRENCY: Final = "usd"

# As Stripe lists them.
_ZERO_DECIMAL: Final = frozenset(
    {"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga"}
    | {"pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf"}
)
_THREE_DECIMAL: Final = frozenset({"bhd", "jod", "kwd", "omr", "tnd"})
_CODE: Final = re.compile(r"[a-z]{3}")


def clean_currency(value: object, field: str = "currency") -> str:
    """Return a currency's three-letter code in lower case; raise InvalidValue for anything else."""
    code = value.strip().lower() if isinstance(value, str) else ""
    if not _CODE.fullmatch(code):
        raise InvalidValue.of(field, value, 'a three-letter currency code such as "usd"')
    return code


def decimal_places(currency: str) -> int:
    """Return how many decimals Stripe gives a currency: 0 (jpy), 3 (kwd) or 2."""
    return 0 if currency in _ZERO_DECIMAL else 3 if currency in _THREE_DECIMAL else 2


@dataclass(frozen=True)
class Money:
    """An amount from 0 up in the currency's minor unit (cents): `int(money)`; `str(money)` is "49.00 USD"."""

    amount: int
    currency: str = DEFAULT_CURRENCY

    def __post_init__(self) -> None:
        check_amount(self.amount, "amount", minimum=0)
        object.__setattr__(self, "currency", clean_currency(self.currency))

    @property
    def code(self) -> str:
        """Return the currency for display, e.g. "USD"."""
        return self.currency.upper()

    @property
    def decimal(self) -> Decimal:
        """Return the amount in the currency's main unit: 4999 cents are 49.99 dollars."""
        return Decimal(self.amount).scaleb(-decimal_places(self.currency))

    def __int__(self) -> int:
        return self.amount

    def __str__(self) -> str:
        return f"{self.decimal:f} {self.code}"


def cents(amount: int, currency: str = DEFAULT_CURRENCY) -> Money:
    """Return money of `amount` minor units (int) of a currency; raise InvalidValue for anything else."""
    return Money(amount, currency)


def dollars(amount: int | float | Decimal) -> Money:
    """Return US dollars; `amount` is a number from 0 up with at most 2 decimals. Raises InvalidValue."""
    return _in_main_unit(amount, "usd")


def euros(amount: int | float | Decimal) -> Money:
    """Return euros; `amount` is a number from 0 up with at most 2 decimals. Raises InvalidValue."""
    return _in_main_unit(amount, "eur")


def pounds(amount: int | float | Decimal) -> Money:
    """Return pounds sterling; `amount` is a number from 0 up with at most 2 decimals. Raises InvalidValue."""
    return _in_main_unit(amount, "gbp")


def _in_main_unit(amount: object, currency: str) -> Money:
    """Count a float by its shortest text: 19.99 is 1999 cents, not 1998.9999999999998."""
    if (
        isinstance(amount, int | float | Decimal)
        and is_finite_number(amount)
        and 0 <= amount <= MAX_AMOUNT // 100
    ):
        minor = Decimal(repr(float(amount)) if isinstance(amount, float) else amount) * 100
        if minor == int(minor):
            return Money(int(minor), currency)
    raise InvalidValue.of(
        "amount", amount, "a number (int, float or Decimal) from 0 up with at most 2 decimals"
    )

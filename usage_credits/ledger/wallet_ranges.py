"""Ranges of wallets by primary key: what parts a job among workers that then never meet at one wallet."""

from __future__ import annotations

from typing import NamedTuple

from django.db.models import Max, Min, Q

from usage_credits.exceptions import InvalidValue
from usage_credits.models import Wallet

LAST_KEY = 2**63 - 1
"""The largest primary key that a 64-bit column holds."""


class WalletRange(NamedTuple):
    """The wallets whose primary keys lie from `first` to `last`, both included; not all need to exist."""

    first: int
    last: int


def check_wallets(value: object, field: str = "wallets") -> WalletRange | None:
    """Return the range that a pair of whole numbers (int) names; None, for all wallets, as it is.

    Raises InvalidValue for anything else and where the first key is not from 1 to the last one.
    """
    if value is None:
        return None
    match value:
        case [first, last] if type(first) is type(last) is int and 1 <= first <= last <= LAST_KEY:
            return WalletRange(first, last)
    raise InvalidValue.of(field, value, "a first and a last key, such as [1, 5000], or None for all wallets")


def of_wallets(wallets: WalletRange | None, column: str = "wallet") -> Q:
    """Return the condition that keeps rows of these wallets; None keeps all."""
    if wallets is None:
        return Q()
    return Q(**{f"{column}__gte": wallets.first, f"{column}__lte": wallets.last})


def cut(wallets: WalletRange | None, number: int, using: str) -> list[WalletRange]:
    """Part `wallets` (None: all) into at most `number` ranges of equal width that hold every wallet there is now.

    No range where there is no wallet, and never more than there are keys. One statement that reads both ends of the
    primary key, and so takes as long for a million wallets as for one; cutting where as many wallets lie on either
    side would walk the whole key, and tells as little of how much waits in each.
    """
    ends = Wallet.objects.using(using).filter(of_wallets(wallets, "pk")).aggregate(a=Min("pk"), z=Max("pk"))
    if ends["a"] is None:
        return []
    first, last = ends["a"], ends["z"]
    width = -(-(last - first + 1) // number)
    return [WalletRange(start, min(start + width - 1, last)) for start in range(first, last + 1, width)]

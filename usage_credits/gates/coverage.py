"""Tell whether an owner's credits cover a use, and by how much they do not. Knows no request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from usage_credits.charging import SpendingBlock
from usage_credits.dsl.wallet_options import WalletOptions
from usage_credits.exceptions import CapExceeded, InsufficientCredits, WalletNotFound
from usage_credits.ledger.dry_runs import DryRun


class Spender(Protocol):
    """What gates ask of an owner; `usage_credits.HasWallet` has all of it."""

    wallet_options: WalletOptions

    @property
    def credits(self) -> int: ...

    def has_wallet(self) -> bool: ...

    def credits_for(self, operation: Any, /) -> int: ...

    def estimate_credits_to(self, operation: Any, /, **params: Any) -> int: ...

    def has_enough_credits_to(self, operation: Any, /, **params: Any) -> bool: ...

    def plan_spend_on(self, operation: Any, /, **params: Any) -> DryRun: ...

    def spending_credits_on(self, operation: Any, /, **params: Any) -> SpendingBlock: ...


def refusal_of(
    owner: Spender,
    operation: Any,
    params: Mapping[str, Any] | None = None,
    *,
    attributed_to: str | None = None,
) -> InsufficientCredits | CapExceeded | None:
    """Return the error that says what `operation` lacks, None where `owner.has_enough_credits_to` it.

    An owner without a wallet has its initial balance, or nothing where no wallet is created by itself. Reads only and
    announces nothing. Raises InvalidOperation, and InvalidValue for what cannot be a key.
    """
    given = dict(params or {})
    price = owner.estimate_credits_to(operation, **given)
    if not price:
        return None
    try:
        if owner.has_enough_credits_to(operation, attributed_to=attributed_to, **given):
            return None
        refused = owner.plan_spend_on(operation, attributed_to=attributed_to, **given).refused
        if isinstance(refused, CapExceeded):
            return refused
    except WalletNotFound:
        return InsufficientCredits(0, price)
    return InsufficientCredits(available_for(owner, operation), price)


def available_for(owner: Spender, operation: Any) -> int:
    """Return what the owner can spend on `operation`, as `refusal_of` counts it. One statement."""
    try:
        return owner.credits_for(operation)
    except WalletNotFound:
        return 0


def refusal_of_amount(owner: Spender, amount: int) -> InsufficientCredits | None:
    """Return the error that says what `amount` credits lack, None where the owner has them. Reads only."""
    try:
        available = owner.credits
    except WalletNotFound:
        available = 0
    return None if amount <= available else InsufficientCredits(available, amount)

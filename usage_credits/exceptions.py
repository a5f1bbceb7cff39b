"""Everything this app raises on purpose: one root, one family for values that are refused."""

from __future__ import annotations

import datetime
from typing import ClassVar


class UsageCreditsError(Exception):
    """Root of every error that usage_credits raises on purpose."""


class InvalidValue(UsageCreditsError, ValueError):
    """A value is refused; `field` names the argument or setting it was given for."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(field, message)
        self.field = field

    def __str__(self) -> str:
        return ": ".join(map(str, self.args))

    @classmethod
    def of(cls, field: str, value: object, allowed: str) -> InvalidValue:
        """Build the error from the refused value: says its kind and what is allowed."""
        return cls(field, f"got {describe(value)}, allowed is {allowed}.")


class InvalidAmount(InvalidValue):
    """An amount is not a whole number of credits in the accepted range."""


class InvalidTransfer(InvalidValue):
    """A transfer's wallets, policy or expiry do not fit together."""


class InvalidOperation(UsageCreditsError):
    """An operation is unknown, its parameters are refused, or its price cannot be worked out."""


class InsufficientCredits(UsageCreditsError):
    """The wallet cannot pay; `available` and `required` are in credits."""

    def __init__(self, available: int, required: int) -> None:
        super().__init__(available, required)
        self.available = available
        self.required = required

    def __str__(self) -> str:
        return f"{self.required} credits are required, {self.available} are available."


class CapExceeded(UsageCreditsError):
    """A key may not spend as much before its cap's next window; credits that are bought do not change that.

    `limit`, `left` and `required` (of a capture: what it takes beyond its hold) are in credits. `left` is what the cap
    leaves the key until `resets_at` (aware), when its next window begins; `every` says how long its windows are, in
    ISO 8601.
    """

    def __init__(
        self,
        attributed_to: str,
        every: str,
        limit: int,
        left: int,
        required: int,
        resets_at: datetime.datetime,
    ) -> None:
        super().__init__(attributed_to, every, limit, left, required, resets_at)
        self.attributed_to = attributed_to
        self.every = every
        self.limit = limit
        self.left = left
        self.required = required
        self.resets_at = resets_at

    def __str__(self) -> str:
        return (
            f"{self.required} credits are required, {self.attributed_to!r} may spend {self.left} more of its "
            f"{self.limit} until {self.resets_at.isoformat()}."
        )


class IdempotencyConflict(UsageCreditsError):
    """The idempotency key was used before for another kind, amount or category."""


class HoldNotOpen(UsageCreditsError):
    """The hold was captured, released or ran out before."""


class WalletNotFound(UsageCreditsError):
    """The owner has no wallet of this asset, and none is created automatically."""


class AppendOnlyError(UsageCreditsError):
    """Ledger rows are never changed or deleted; post a reversing row instead."""

    default_message: ClassVar[str] = (
        "Ledger rows are append-only: post a reversing row instead of changing or deleting one."
    )

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.default_message)


def describe(value: object) -> str:
    """Name a value and its kind for an error message, shortened so that no message grows with its input."""
    try:
        text = repr(value)
    except Exception:  # a refused value may be anything: huge integers have no text, and a repr may fail
        text = "a value without text"
    return f"{text if len(text) <= 60 else text[:57] + '...'} ({type(value).__name__})"

"""What is to be posted, checked and not yet written."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Any

from usage_credits.models import Fulfillment, Transaction, Transfer


@dataclass(frozen=True)
class Use:
    """What a charge was for beyond its operation, as reports add it up; the fields are columns of its row."""

    model: str | None = None
    member: str | None = None
    tokens: int | None = None
    provider_cost_nanos: int | None = None
    provider_currency: str | None = None


@dataclass(frozen=True)
class CreditEntry:
    """What a credit posts; checked by whoever builds it."""

    amount: int
    category: str
    metadata: dict[str, Any] = field(default_factory=dict)
    expires_at: datetime.datetime | None = None
    idempotency_key: str | None = None
    legacy_keys: tuple[str, ...] = ()
    cash_amount: int | None = None
    cash_currency: str | None = None
    fulfillment: Fulfillment | None = None
    grid_date: datetime.datetime | None = None
    transfer: Transfer | None = None
    reverses: Transaction | None = None
    priority: int = 0
    scope: tuple[str, ...] | None = None
    use: Use | None = None


@dataclass(frozen=True)
class DebitEntry:
    """What a debit posts; checked by whoever builds it."""

    amount: int
    category: str
    metadata: dict[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None
    attributed_to: str | None = None
    operation: str | None = None
    fulfillment: Fulfillment | None = None
    transfer: Transfer | None = None
    reverses: Transaction | None = None
    pays_first: frozenset[int] = frozenset()
    """The credits (transactions) whose lots pay before all others, whatever their scope."""
    use: Use | None = None
    is_due: bool = False
    """Whether it was used already: then neither caps nor a lack of credits refuse it."""

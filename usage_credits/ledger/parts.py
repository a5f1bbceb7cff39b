"""The parts of a debit: how much of it was paid by lots of which expiry, priority and scope."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from dataclasses import dataclass

from usage_credits.models import Allocation


@dataclass(frozen=True)
class Part:
    """What lots with the same conditions paid."""

    amount: int
    expires_at: datetime.datetime | None = None
    priority: int = 0
    scope: tuple[str, ...] | None = None


def parts_of(allocations: Iterable[Allocation]) -> list[Part]:
    """Return one part for each distinct expiry, priority and scope of the lots, in the order of the allocations."""
    parts: dict[tuple[datetime.datetime | None, int, tuple[str, ...] | None], Part] = {}
    for allocation in allocations:
        lot = allocation.lot
        key = lot.expires_at, lot.priority, lot.scope
        before = parts[key].amount if key in parts else 0
        parts[key] = Part(before + allocation.amount, lot.expires_at, lot.priority, lot.scope)
    return list(parts.values())

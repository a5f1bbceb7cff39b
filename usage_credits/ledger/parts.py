"""The parts of a debit: how much of it was paid by lots of which expiry, priority and scope."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from usage_credits.models import Allocation, Lot, Transaction


@dataclass(frozen=True)
class Part:
    """What lots with the same conditions paid."""

    amount: int
    expires_at: datetime.datetime | None = None
    priority: int = 0
    scope: tuple[str, ...] | None = None


def parts_of(allocations: Iterable[Allocation]) -> list[Part]:
    """Return one part for each distinct expiry, priority and scope of the lots, in the order of the allocations."""
    return _joined((allocation.lot, allocation.amount) for allocation in allocations)


def last_parts_of(
    debit: Transaction, allocations: Sequence[Allocation], skip: int, amount: int
) -> tuple[int, list[Part]]:
    """Return what of the last `amount` of a debit is still owed, and the parts of the rest, which lots paid.

    The end of a debit is what it owes; before that comes what paid it last. `skip` of its end was given back before.
    So what is left of the debit is paid as if it had been of that size from the start.
    """
    owed = -debit.amount - sum(allocation.amount for allocation in allocations)
    skipped, owed_part = min(skip, owed), min(max(owed - skip, 0), amount)
    skip, amount = skip - skipped, amount - owed_part
    taken: list[tuple[Lot, int]] = []
    for allocation in reversed(allocations):
        skipped = min(skip, allocation.amount)
        part = min(allocation.amount - skipped, amount)
        skip, amount = skip - skipped, amount - part
        if part:
            taken.append((allocation.lot, part))
    return owed_part, _joined(reversed(taken))


def _joined(payments: Iterable[tuple[Lot, int]]) -> list[Part]:
    parts: dict[tuple[datetime.datetime | None, int, tuple[str, ...] | None], Part] = {}
    for lot, amount in payments:
        key = lot.expires_at, lot.priority, lot.scope
        before = parts[key].amount if key in parts else 0
        parts[key] = Part(before + amount, lot.expires_at, lot.priority, lot.scope)
    return list(parts.values())

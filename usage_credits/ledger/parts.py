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
) -> list[Part]:
    """Return `amount` of a debit as parts to give back: from its end, after `skip`, which was given back before.

    So what is left of the debit is paid as if it had been of that size from the start. Its end is what it still owes;
    before that comes what paid it last. What is owed comes back first, so that the rest pays debts no sooner.
    """
    owed = -debit.amount - sum(allocation.amount for allocation in allocations)
    taken: list[tuple[Lot | None, int]] = []
    from_end = [(None, owed), *((one.lot, one.amount) for one in reversed(allocations))]
    for lot, size in from_end:
        skipped = min(skip, size)
        part = min(size - skipped, amount)
        skip, amount = skip - skipped, amount - part
        if part:
            taken.append((lot, part))
    open_part = [Part(part) for lot, part in taken if lot is None]
    return open_part + _joined((lot, part) for lot, part in reversed(taken) if lot is not None)


def _joined(payments: Iterable[tuple[Lot, int]]) -> list[Part]:
    parts: dict[tuple[datetime.datetime | None, int, tuple[str, ...] | None], Part] = {}
    for lot, amount in payments:
        key = lot.expires_at, lot.priority, lot.scope
        before = parts[key].amount if key in parts else 0
        parts[key] = Part(before + amount, lot.expires_at, lot.priority, lot.scope)
    return list(parts.values())

"""Give back what debits took, all or a part of it, as the lots that paid it were."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, NamedTuple

from django.db.models import Sum

from usage_credits.dsl.categories import REVERSAL
from usage_credits.ledger.entries import CreditEntry, Use
from usage_credits.ledger.parts import Part, last_parts_of
from usage_credits.ledger.posting import Posting
from usage_credits.models import Allocation, Transaction


@dataclass(frozen=True)
class Undone:
    """What the rows that reverse a row add up to; of the use of a debit they hold what to subtract."""

    amount: int = 0
    tokens: int = 0
    provider_cost_nanos: int = 0


class Returned(NamedTuple):
    """What is given back of a stored debit, of which `undone` was given back before."""

    debit: Transaction
    amount: int
    undone: int


def undone_of(rows: Sequence[Transaction], using: str | None) -> defaultdict[int, Undone]:
    """Return what was undone of stored rows, by primary key; one statement."""
    undoing = Transaction.objects.using(using).filter(reverses__in=rows).order_by().values_list("reverses")
    sums = undoing.annotate(Sum("amount"), Sum("tokens"), Sum("provider_cost_nanos"))
    undone: defaultdict[int, Undone] = defaultdict(Undone)
    for pk, *figures in sums:
        undone[pk] = Undone(*(int(figure or 0) for figure in figures))
    return undone


def use_left_of(debit: Transaction, undone: Undone) -> Use | None:
    """Return what a row carries that takes the whole use of a debit out of the reports."""
    if debit.tokens is None and debit.provider_cost_nanos is None:
        return None
    cost = debit.provider_cost_nanos
    return Use(
        tokens=None if debit.tokens is None else -debit.tokens - undone.tokens,
        provider_cost_nanos=None if cost is None else -cost - undone.provider_cost_nanos,
        provider_currency=debit.provider_currency,
    )


def give_back(
    post: Posting,
    returned: Iterable[Returned],
    *,
    metadata: dict[str, Any],
    use: Use | None = None,
    keys: Iterator[str | None] | None = None,
    latest_first: bool = False,
) -> list[Transaction]:
    """Append the credits that undo what is returned of stored debits, each from its end.

    First what the debits owe, so that what lots had paid settles none of it. Then one credit for each distinct expiry,
    priority and scope of the lots that paid a debit, in the order in which they paid or, `latest_first`, the other way
    round; what has expired by now expires at once. The first credit carries `use`; each takes one of `keys`. Reads the
    allocations of all debits in one statement.
    """
    # First, as a hold that ends by it may settle what a debit owes.
    post.book_expired()
    returned = list(returned)
    paid = _paid_for(post, [one.debit for one in returned])
    owed, parts = [], []
    for debit, amount, undone in returned:
        open_part, paid_parts = last_parts_of(debit, paid[debit.pk], undone, amount)
        owed += [(debit, Part(open_part))] if open_part else []
        parts += [(debit, part) for part in (reversed(paid_parts) if latest_first else paid_parts)]
        post.caps.uncount(debit, amount)
    rows: list[Transaction] = []
    for (debit, part), key in zip(owed + parts, keys or repeat(None), strict=False):
        entry = CreditEntry(
            part.amount,
            REVERSAL,
            metadata=metadata,
            expires_at=part.expires_at,
            priority=part.priority,
            scope=part.scope,
            reverses=debit,
            idempotency_key=key,
            use=None if rows else use,
        )
        rows.append(post.give_back(entry))
    return rows


def _paid_for(post: Posting, debits: Sequence[Transaction]) -> defaultdict[int, list[Allocation]]:
    """Return what paid stored debits, also in this posting, in order, by primary key."""
    stored = Allocation.objects.using(post.wallet._state.db).filter(debit__in=debits)
    paid: defaultdict[int, list[Allocation]] = defaultdict(list)
    for allocation in [*stored.select_related("lot").order_by("pk"), *post.allocations]:
        paid[allocation.debit_id or 0].append(allocation)
    return paid

"""Tell what paid for what: the lots behind the debits of a page."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from django.db.models import F, Window
from django.db.models.functions import RowNumber

from usage_credits.models import Allocation, Transaction

MOST: Final = 5
"""How many of the allocations of one debit are told."""


@dataclass(frozen=True)
class Payers:
    """The first allocations of a debit, each with its lot and the row that created it, and whether there are more."""

    allocations: tuple[Allocation, ...]
    has_more: bool


def payers_of(rows: Collection[Transaction]) -> dict[int, Payers]:
    """Return by primary key what paid those of the rows that lots paid for. One statement for all of them."""
    debits = [row.pk for row in rows if row.amount < 0]
    if not debits:
        return {}
    using = next(iter(rows))._state.db
    number = Window(RowNumber(), partition_by=F("debit"), order_by=F("pk").asc())
    numbered = Allocation.objects.using(using).filter(debit__in=debits).annotate(number=number)
    first = numbered.filter(number__lte=MOST + 1).select_related("lot__transaction")
    paid: defaultdict[int, list[Allocation]] = defaultdict(list)
    for allocation in first.order_by("pk"):
        paid[allocation.debit_id].append(allocation)
    return {pk: Payers(tuple(found[:MOST]), len(found) > MOST) for pk, found in paid.items()}

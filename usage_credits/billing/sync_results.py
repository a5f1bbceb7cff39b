"""Tell what settling one payment or subscription changed, or would change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from usage_credits.billing.notices import SOURCE
from usage_credits.dsl.categories import REFUNDS
from usage_credits.models import Debt, Fulfillment, PaymentNotice, Transaction


@dataclass(frozen=True)
class Synced:
    """What settling `key` posted; `problem` says why it brought no credits although it should have."""

    key: str
    awarded: int = 0
    """Credits."""
    taken_back: int = 0
    given_back: int = 0
    """Of what had been taken back before."""
    claimed: int = 0
    """Credits that were spent already, and are taken from the wallet's next ones."""
    changes: tuple[str, ...] = field(default=())
    """The columns of the fulfillment that changed; those of a new one do not count."""
    problem: str = ""

    @property
    def is_changed(self) -> bool:
        return bool(self.awarded or self.taken_back or self.given_back or self.claimed or self.changes)

    def __add__(self, other: Synced) -> Synced:
        """Return the sum of the credits."""
        return Synced(
            self.key,
            self.awarded + other.awarded,
            self.taken_back + other.taken_back,
            self.given_back + other.given_back,
            self.claimed + other.claimed,
        )


@dataclass(frozen=True)
class Before:
    """How things stood before something was settled."""

    key: str
    columns: dict[str, Any] | None
    """Of its fulfillment, where there was one."""
    last_row: int
    last_claim: int
    using: str

    @classmethod
    def read(cls, key: str, using: str) -> Before:
        return cls(key, _columns(key, using), _latest(Transaction, using), _latest(Debt, using), using)

    def compare(self, settled: Fulfillment | PaymentNotice | None, told: set[Any]) -> Synced:
        """Return what changed since for what was settled.

        Leaves out the rows and notices that `told` names, and adds those found to it: what is rolled back is posted
        again with the next thing that it belongs to.
        """
        if settled is None:
            return Synced(self.key)
        if isinstance(settled, PaymentNotice):
            is_new = settled.source_id not in told
            told.add(settled.source_id)
            problem = f"{settled.get_reason_display()}: {settled.detail}" if is_new else ""
            return Synced(settled.source_id, problem=problem)
        awarded = taken_back = given_back = 0
        for row in self._rows(settled):
            name = (
                row.fulfillment.source_id if row.fulfillment else None,
                row.category,
                row.idempotency_key,
                row.grid_date,
                row.amount,
            )
            if name in told:
                continue
            told.add(name)
            if row.amount < 0:
                taken_back -= row.amount
            elif row.category in REFUNDS:
                given_back += row.amount
            else:
                awarded += row.amount
        claims = Debt.objects.using(self.using).filter(fulfillment=settled, pk__gt=self.last_claim)
        claimed = sum(claims.values_list("open_amount", flat=True))
        key = settled.source_id or self.key
        return Synced(key, awarded, taken_back, given_back, claimed, self._changes())

    def _rows(self, fulfillment: Fulfillment) -> list[Transaction]:
        """Return what was posted, without what time alone books, such as what had expired."""
        rows = Transaction.objects.using(self.using).filter(
            wallet=fulfillment.wallet_id, pk__gt=self.last_row, fulfillment__source=SOURCE
        )
        return list(rows.select_related("fulfillment").oldest_first())

    def _changes(self) -> tuple[str, ...]:
        now = _columns(self.key, self.using)
        if self.columns is None or now is None:
            return ()
        return tuple(name for name, value in now.items() if self.columns[name] != value)


def _columns(key: str, using: str) -> dict[str, Any] | None:
    found = Fulfillment.objects.using(using).filter(source=SOURCE, source_id=key).values().first()
    # That it was looked at is no change of it.
    return {name: value for name, value in found.items() if name != "revision"} if found else None


def _latest(model: type[Transaction | Debt], using: str) -> int:
    rows = model._default_manager.using(using).order_by("-pk")
    return rows.values_list("pk", flat=True).first() or 0

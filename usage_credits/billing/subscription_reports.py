"""A subscription as its provider reports it: what was paid from when to when, and what was changed when."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Term:
    """A period of a subscription that was paid, or its trial."""

    starts_at: datetime.datetime
    ends_at: datetime.datetime | None
    price_id: str
    seats: int = 1
    paid_at: datetime.datetime
    invoice_id: str = ""
    """The invoice that was paid, where it is known."""
    is_in_time: bool = False
    """Whether its payment was never refused: it counted as paid from its start, whenever the money came."""

    @property
    def moment(self) -> datetime.datetime:
        """Return from when on it counts: a period paid late counts from its payment."""
        return self.starts_at if self.is_in_time else max(self.starts_at, self.paid_at)


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change of price or seats within a period."""

    moment: datetime.datetime
    ends_at: datetime.datetime | None
    price_id: str
    seats: int = 1


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """All that a provider knows of one subscription now, so that the order of its notices does not matter."""

    id: str
    revision: int | None = None
    """The revision of its fulfillment before the provider was asked; None where there was none."""
    status: str
    """The provider's own word for its state."""
    terms: tuple[Term, ...] = ()
    """What was paid, oldest first; without the trial."""
    changes: tuple[Change, ...] = ()
    """What was changed within those periods, oldest first; the last one is how things are now."""
    provisional: Term | None = None
    """The running period while it counts as paid although its payment is still to come."""
    unpaid: frozenset[str] = frozenset()
    """The invoices of periods that are not paid and do not count as paid."""
    trial: Term | None = None
    is_paused: bool = False
    """Whether its awards rest for now although a period may be paid."""
    is_unpaid: bool = False
    """Whether the provider waits for a payment."""
    is_taken_over: bool = False
    """Whether it was not sold by us and its earlier periods are none of our business."""
    ends_at: datetime.datetime | None = None
    """When it is going to end, where that is known."""
    ended_at: datetime.datetime | None = None
    customer_id: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)
    payload: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Return what names the subscription for ever."""
        return f"sub:{self.id}"

    @property
    def steps(self) -> list[Term | Change]:
        """Return what was paid and changed, in the order in which it came to count; a payment before a change.

        A change within a period that was paid later counts after that payment.
        """
        steps: list[Term | Change] = [*self.terms, *self.changes]
        return sorted(steps, key=lambda step: (self._counts_from(step), isinstance(step, Change)))

    def _counts_from(self, step: Term | Change) -> datetime.datetime:
        if isinstance(step, Term):
            return step.moment
        around = [term for term in self.terms if term.starts_at <= step.moment][-1:]
        return max(
            [step.moment]
            + [term.moment for term in around if term.ends_at is None or step.moment < term.ends_at]
        )

    def term_at(self, moment: datetime.datetime) -> Term | None:
        """Return the latest period that was paid by `moment`, if that lies in it."""
        paid = [term for term in self.terms if term.moment <= moment]
        is_over = not paid or (paid[-1].ends_at is not None and paid[-1].ends_at <= moment)
        return None if is_over else paid[-1]

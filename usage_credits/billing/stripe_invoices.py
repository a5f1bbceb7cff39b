"""Read from Stripe's invoices what of a subscription was paid, tried out and changed, and when.

Invoices and their proration lines are Stripe's own lasting record: they tell every period and every change of price
with its moment, whichever notices were late or lost.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from usage_credits import conf
from usage_credits.billing.stripe_objects import Payload, moment_from, sid
from usage_credits.billing.subscription_reports import Change, Term


@dataclass(frozen=True)
class Line:
    """One line of an invoice, or an item that waits for the next invoice, in today's or in the older shape."""

    payload: Payload

    @property
    def price_id(self) -> str:
        pricing = (self.payload.get("pricing") or {}).get("price_details") or {}
        return (
            sid(pricing.get("price")) or sid(self.payload.get("price")) or sid(self.payload.get("plan")) or ""
        )

    @property
    def subscription_item(self) -> str | None:
        return sid(self._details.get("subscription_item")) or sid(self.payload.get("subscription_item"))

    @property
    def is_proration(self) -> bool:
        return bool(self._details.get("proration") or self.payload.get("proration"))

    @property
    def seats(self) -> int:
        return int(self.payload.get("quantity") or 1)

    @property
    def amount(self) -> int:
        return int(self.payload.get("amount") or 0)

    @property
    def starts_at(self) -> datetime.datetime:
        return moment_from(self.payload["period"]["start"])

    @property
    def ends_at(self) -> datetime.datetime:
        return moment_from(self.payload["period"]["end"])

    @property
    def _details(self) -> Payload:
        parent = self.payload.get("parent") or {}
        return parent.get("subscription_item_details") or parent.get("subscription_details") or {}


def period_line(invoice: Payload, item_id: str | None = None) -> Line | None:
    """Return the invoice's line for a period of a plan; for want of a plan of ours, that of the item `item_id`.

    None for an invoice of prorations only, or of other things.
    """
    lines = [Line(payload) for payload in (invoice.get("lines") or {}).get("data") or []]
    periods = [
        line for line in lines if line.price_id and not line.is_proration and line.payload.get("period")
    ]
    ours = [line for line in periods if conf.find_plan_for_price(line.price_id)]
    others = [line for line in periods if line.subscription_item == item_id] if item_id else periods
    return next(iter(ours + others), None)


def is_trial(line: Line, trial_ends_at: datetime.datetime | None) -> bool:
    """Tell whether a line is for a trial; one that was cut short ends later than the trial did."""
    return trial_ends_at is not None and line.starts_at < trial_ends_at


def periods_of(
    invoices: Iterable[Payload], item_id: str | None, trial_ends_at: datetime.datetime | None
) -> Iterator[tuple[Payload, Line]]:
    """Yield the invoices that are for a period, paid or not, each with its line; without the trial."""
    for invoice in invoices:
        line = period_line(invoice, item_id)
        if line is not None and not is_trial(line, trial_ends_at):
            yield invoice, line


def term_of(invoice: Payload, line: Line) -> Term:
    """Return the period that an invoice is for."""
    paid_at = (invoice.get("status_transitions") or {}).get("paid_at") or invoice["created"]
    is_first_try = (invoice.get("attempt_count") or 0) <= 1
    return Term(
        starts_at=line.starts_at,
        ends_at=line.ends_at,
        price_id=line.price_id,
        seats=line.seats,
        paid_at=moment_from(paid_at),
        invoice_id=invoice["id"],
        is_in_time=_is_of_renewal(invoice) and is_first_try,
    )


def is_awaited(invoice: Payload, *, is_latest: bool) -> bool:
    """Tell whether the payment of an active subscription's renewal is still to come, by itself.

    For about an hour its invoice is a draft; then a card is charged at once, while a debit of a bank account takes
    days. Where it fails, Stripe calls the subscription past due, if the invoice is its latest.
    """
    if invoice.get("status") == "draft":
        return _is_of_renewal(invoice) and bool(invoice.get("auto_advance"))
    return invoice.get("status") == "open" and _is_of_renewal(invoice) and is_latest


def _is_of_renewal(invoice: Payload) -> bool:
    """Tell whether an invoice is for a period after the first, and charged rather than sent to the customer."""
    is_sent = invoice.get("collection_method") == "send_invoice"
    return invoice.get("billing_reason") == "subscription_cycle" and not is_sent


def changes_of(lines: Iterable[Line], item_id: str | None) -> Iterator[Change]:
    """Yield the changes that proration lines tell of: at each moment one line gives back, the other charges."""
    by_moment: defaultdict[datetime.datetime, list[Line]] = defaultdict(list)
    for line in lines:
        if line.is_proration and (
            conf.find_plan_for_price(line.price_id) or line.subscription_item == item_id
        ):
            by_moment[line.starts_at].append(line)
    for moment, changed in sorted(by_moment.items()):
        # The charge is the larger amount; of two zeros, the later line.
        charge = max(reversed(changed), key=lambda line: line.amount)
        if len(changed) == 1 and charge.amount <= 0:
            # Something ended, or a new period began: its own line tells of what it is for.
            continue
        yield Change(moment=moment, ends_at=charge.ends_at, price_id=charge.price_id, seats=charge.seats)

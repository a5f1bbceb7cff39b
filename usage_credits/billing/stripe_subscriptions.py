"""Settle subscriptions by what Stripe says of them now: the subscription, its invoices and what waits for the next."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from django.utils import timezone

from usage_credits import conf
from usage_credits.billing import subscriptions
from usage_credits.billing.owner_references import OWNER_KEY
from usage_credits.billing.reports import ask_again, find_fulfillment
from usage_credits.billing.stripe_api import (
    Access,
    list_invoices,
    list_pending_items,
    retrieve_subscription,
)
from usage_credits.billing.stripe_customers import find_owner
from usage_credits.billing.stripe_invoices import (
    Line,
    changes_of,
    is_awaited,
    is_trial,
    period_line,
    periods_of,
    term_of,
)
from usage_credits.billing.stripe_objects import Payload, metadata_of, moment_from, sid
from usage_credits.billing.subscription_records import PRICE
from usage_credits.billing.subscription_reports import Change, Subscription, Term
from usage_credits.models import Fulfillment, PaymentNotice

ENDED = frozenset({"canceled", "incomplete_expired"})
RESTING = frozenset({"paused", "unpaid"})
UNPAID = frozenset({"incomplete", "past_due", "unpaid"})


def settle_subscription(
    subscription_id: str,
    access: Access,
    *,
    announced: Payload | None = None,
    changed_at: datetime.datetime | None = None,
) -> Fulfillment | PaymentNotice | None:
    """Settle a subscription; see `subscriptions.settle`.

    Asks Stripe for it, its invoices and the prorations that wait for the next one. `announced` is an event's copy of
    it: it stands in where Stripe has none, and where none of its prices is ours nothing is asked. `changed_at` is when
    a change without prorations was announced. Asks again where another notice was settled meanwhile, so that an older
    answer never undoes a newer one. Raises stripe.StripeError where Stripe cannot answer.
    """
    return ask_again(partial(_ask_and_settle, subscription_id, access, announced, changed_at))


def _ask_and_settle(
    subscription_id: str, access: Access, announced: Payload | None, changed_at: datetime.datetime | None
) -> Fulfillment | PaymentNotice | None:
    known = find_fulfillment(f"sub:{subscription_id}")
    if known is None and announced is not None and not _may_be_ours(announced):
        return None
    payload = retrieve_subscription(subscription_id, access) or announced
    if payload is None or (known is None and not _may_be_ours(payload)):
        return None
    report = _Reader(payload, known, access).report(changed_at)
    find = partial(find_owner, report.metadata, report.customer_id, access)
    return subscriptions.settle(report, find)


def _may_be_ours(payload: Payload) -> bool:
    metadata = metadata_of(payload)
    return bool(
        metadata.get(OWNER_KEY)
        or metadata.get(subscriptions.PLAN_KEY)
        or any(conf.find_plan_for_price(_price_of(item)) for item in _items(payload))
    )


def _items(payload: Payload) -> list[Payload]:
    return list((payload.get("items") or {}).get("data") or [])


def _price_of(item: Payload | None) -> str | None:
    """Return the id of an item's price; the oldest API versions know plans only."""
    return (sid(item.get("price")) or sid(item.get("plan"))) if item else None


class _Reader:
    """Reads one subscription's payload, in today's or in the older shape, into a report."""

    def __init__(self, payload: Payload, known: Fulfillment | None, access: Access) -> None:
        self._payload = payload
        self._access = access
        self._item = self._plan_item(known)
        self._price_id = _price_of(self._item) or ""
        self._seats = int((self._item or {}).get("quantity") or 1)
        self._starts_at = self._period("current_period_start")
        self._ends_at = self._period("current_period_end")
        is_tried = payload.get("status") == "trialing"
        self._trial_ends_at = self._moment("trial_end") or (self._ends_at if is_tried else None)
        self._trial_starts_at = self._moment("trial_start") or (self._starts_at if is_tried else None)
        customer_id = sid(payload.get("customer")) or ""
        self._references = {
            name: value
            for name, value in (("customer_id", customer_id), ("account_id", access.account))
            if value
        }
        self._changed_at = known.changed_at if known else None
        self._revision = known.revision if known else None
        self._is_taken_over = known is None and OWNER_KEY not in metadata_of(payload)

    def report(self, changed_at: datetime.datetime | None) -> Subscription:
        payload = self._payload
        status = str(payload.get("status") or "")
        invoices = list_invoices(payload, self._access)
        ended_at = self._moment("ended_at") or self._moment("canceled_at") if status in ENDED else None
        ends_at = self._moment("cancel_at") or (
            self._ends_at if payload.get("cancel_at_period_end") else None
        )
        return Subscription(
            id=payload["id"],
            revision=self._revision,
            status=status,
            terms=tuple(self._terms(invoices)),
            changes=tuple(self._changes(invoices, changed_at)),
            provisional=self._provisional(invoices),
            unpaid=frozenset(self._unpaid(invoices)),
            trial=self._trial(invoices),
            is_paused=status in RESTING or bool(payload.get("pause_collection")),
            is_unpaid=status in UNPAID,
            is_taken_over=self._is_taken_over,
            ends_at=ends_at,
            ended_at=ended_at,
            customer_id=self._references.get("customer_id", ""),
            metadata=metadata_of(payload),
            references=self._references,
            payload=payload,
        )

    def _terms(self, invoices: list[Payload]) -> list[Term]:
        terms = [
            term_of(invoice, line)
            for invoice, line in self._periods(invoices)
            if invoice.get("status") == "paid"
        ]
        starts_at = self._starts_at or timezone.now()
        if self._trial_ends_at is not None and self._trial_ends_at <= timezone.now():
            starts_at = max(starts_at, self._trial_ends_at)
        if self._is_active and not self._is_invoiced(invoices, starts_at):
            terms.append(
                Term(
                    starts_at=starts_at,
                    ends_at=self._ends_at,
                    price_id=self._price_id,
                    seats=self._seats,
                    paid_at=starts_at,
                )
            )
        if self._is_taken_over and self._starts_at is not None:
            terms = [term for term in terms if term.starts_at >= self._starts_at]
        return sorted(terms, key=lambda term: term.starts_at)

    @property
    def _is_active(self) -> bool:
        # While collection is paused a new period is not paid, although the subscription stays active.
        return self._payload.get("status") == "active" and not self._payload.get("pause_collection")

    def _provisional(self, invoices: list[Payload]) -> Term | None:
        """Return the running period if its payment is still to come."""
        latest = sid(self._payload.get("latest_invoice"))
        for invoice, line in self._periods(invoices) if self._is_active else ():
            if line.starts_at == self._starts_at and is_awaited(invoice, is_latest=invoice["id"] == latest):
                return term_of(invoice, line)
        return None

    def _unpaid(self, invoices: list[Payload]) -> Iterator[str]:
        provisional = self._provisional(invoices)
        for invoice, _line in self._periods(invoices):
            is_counted = provisional is not None and invoice["id"] == provisional.invoice_id
            if invoice.get("status") != "paid" and not is_counted:
                yield invoice["id"]

    def _periods(self, invoices: list[Payload]) -> Iterator[tuple[Payload, Line]]:
        return periods_of(invoices, self._item_id, self._trial_ends_at)

    def _is_invoiced(self, invoices: list[Payload], starts_at: datetime.datetime) -> bool:
        """Tell whether an invoice for the period is known: then its payment counts, not the subscription's status."""
        lines = [line for invoice in invoices if (line := period_line(invoice, self._item_id))]
        return any(line.starts_at == starts_at for line in lines)

    def _changes(self, invoices: list[Payload], changed_at: datetime.datetime | None) -> list[Change]:
        lines = [
            Line(line) for invoice in invoices for line in (invoice.get("lines") or {}).get("data") or []
        ]
        lines += [Line(item) for item in list_pending_items(self._payload, self._access)]
        changes = list(changes_of(lines, self._item_id))
        if self._is_taken_over and self._starts_at is not None:
            changes = [change for change in changes if change.moment >= self._starts_at]
        now = timezone.now()
        # Whatever announced it: how things are now came after every change that is known.
        moments = [changed_at or now, self._changed_at, *(change.moment for change in changes)]
        present = Change(
            moment=min(max(filter(None, moments)), now),
            ends_at=self._ends_at,
            price_id=self._price_id,
            seats=self._seats,
        )
        return [*changes, present] if self._item else changes

    def _trial(self, invoices: list[Payload]) -> Term | None:
        starts_at = self._trial_starts_at
        if starts_at is None:
            return None
        ends_at = self._trial_ends_at or self._ends_at
        price_id, seats = self._price_id, self._seats
        for invoice in invoices:
            line = period_line(invoice, self._item_id)
            if line is not None and is_trial(line, self._trial_ends_at):
                # What was tried first; a trial that was cut short had been promised until the line's end.
                price_id, seats = line.price_id, line.seats
                ends_at = max(ends_at or line.ends_at, line.ends_at)
        return Term(starts_at=starts_at, ends_at=ends_at, price_id=price_id, seats=seats, paid_at=starts_at)

    def _plan_item(self, known: Fulfillment | None) -> Mapping[str, Any] | None:
        """Return the item that carries the plan: with a price of ours, or with the one known, or the first."""
        items = _items(self._payload)
        ours = [item for item in items if conf.find_plan_for_price(_price_of(item))]
        price_id = known.metadata.get(PRICE) if known else None
        same = [item for item in items if _price_of(item) == price_id]
        return next(iter(ours + same + items), None)

    @property
    def _item_id(self) -> str | None:
        return self._item.get("id") if self._item else None

    def _period(self, name: str) -> datetime.datetime | None:
        """Return a period's start or end: older API versions keep it on the subscription, today's on its items."""
        seconds = self._payload.get(name) or (self._item or {}).get(name)
        return moment_from(seconds) if seconds else None

    def _moment(self, name: str) -> datetime.datetime | None:
        seconds = self._payload.get(name)
        return moment_from(seconds) if seconds else None

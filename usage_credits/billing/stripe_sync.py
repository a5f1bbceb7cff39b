"""Bring credits up to what Stripe says, as its webhooks would have: for when they were missed.

Walks Stripe's own lists, a page at a time, and settles what is found by the functions that webhooks call. What is
settled already changes nothing.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import stripe
from django.db import router, transaction
from djstripe.models import Account, Customer

from usage_credits.billing.notices import SOURCE
from usage_credits.billing.purchases import is_pack_purchase
from usage_credits.billing.stripe_api import Access
from usage_credits.billing.stripe_objects import (
    Payload,
    is_paid,
    is_session_paid,
    metadata_of,
    moment_from,
    sid,
)
from usage_credits.billing.stripe_purchases import settle_intent, settle_session, settle_whole
from usage_credits.billing.stripe_refunds import settle_refund
from usage_credits.billing.stripe_subscriptions import settle_subscription
from usage_credits.billing.sync_results import Before, Synced
from usage_credits.exceptions import UsageCreditsError
from usage_credits.models import Fulfillment, PaymentNotice

logger = logging.getLogger("usage_credits")

UNDECIDED = datetime.timedelta(days=120)
"""How long after it began a refund may still fail, or a dispute be decided."""

Settled: TypeAlias = Fulfillment | PaymentNotice | None


class _Subject(NamedTuple):
    """Something at Stripe that may have to be settled, named by its source id, or by Stripe's where that is open."""

    key: str
    settle: Callable[[], Settled]


def sync(
    *,
    since: datetime.datetime,
    customer: str | None = None,
    dry_run: bool = False,
    accept_changed: bool = False,
    skip: Collection[str] = (),
) -> Iterator[Synced]:
    """Settle what Stripe has, each in a transaction of its own, and yield how each fared that was not skipped.

    That is: subscriptions, without those that ended before `since`; payments for packs begun since; and what was
    refunded or disputed since, or might have been decided since. Of the Stripe customer `customer`, or, for None, of
    everybody, on every connected account that dj-stripe knows customers of.

    `dry_run` rolls each transaction back: nothing is written, announced or awarded. `accept_changed` awards packs as
    they are defined today where they differ from what was sold. `skip` holds source ids to be left out. What fails,
    a list included, is yielded as such and stops no other.
    """
    told: set[Any] = set(skip)
    for access in _accesses(customer):
        walk = _Walk(access, since, customer, accept_changed=accept_changed)
        for name, subjects in walk.lists():
            try:
                for subject in subjects:
                    if subject.key not in skip:
                        yield _settle(subject, told, dry_run=dry_run)
            except stripe.StripeError as failure:
                yield Synced(name, problem=str(failure))


def sync_fulfillments(ids: Collection[int]) -> Iterator[Synced]:
    """Settle those of our fulfillments of these ids that Stripe stands behind, and yield how each fared.

    A pack's refunds and disputes included; those of a subscription's invoices are found by `sync`.
    """
    using = router.db_for_write(Fulfillment)
    told: set[Any] = set()
    for fulfillment in Fulfillment.objects.using(using).filter(pk__in=ids, source=SOURCE).order_by("pk"):
        yield _settle(_Subject(fulfillment.source_id or "", _settling(fulfillment)), told, dry_run=False)


def _settling(fulfillment: Fulfillment) -> Callable[[], Settled]:
    access = replace(Access.default(), account=fulfillment.metadata.get("account_id"))
    kind, _colon, object_id = (fulfillment.source_id or "").partition(":")
    if kind == "sub":
        return lambda: settle_subscription(object_id, access)
    if kind == "pi":
        return lambda: settle_whole(object_id, access)
    return lambda: settle_session(object_id, access)


def _accesses(customer: str | None) -> list[Access]:
    """Return how to reach the project's own account and the connected ones; or that of the one customer."""
    access = Access.default()
    own = Account.get_or_retrieve_for_api_key(access.api_key)
    customers = Customer.objects.exclude(djstripe_owner_account=None).order_by()
    if customer is not None:
        customers = customers.filter(id=customer)
    known = set(customers.values_list("djstripe_owner_account__id", flat=True).distinct())
    accounts = (known or {own.id}) if customer is not None else known | {own.id}
    return [replace(access, account=account) for account in sorted(accounts)]


def _settle(subject: _Subject, told: set[Any], *, dry_run: bool) -> Synced:
    using = router.db_for_write(Fulfillment)
    try:
        with transaction.atomic(using=using):
            before = Before.read(subject.key, using)
            settled = subject.settle()
            synced = before.compare(settled, told)
            # Also drops what would be announced once it is committed.
            transaction.set_rollback(dry_run, using=using)
    except (stripe.StripeError, UsageCreditsError) as failure:
        return Synced(subject.key, problem=str(failure))
    except Exception as failure:
        logger.exception("Could not settle %s", subject.key)
        return Synced(subject.key, problem=f"{type(failure).__name__}: {failure}")
    return synced


class _Walk:
    """Finds what may have to be settled in one account."""

    def __init__(
        self, access: Access, since: datetime.datetime, customer: str | None, *, accept_changed: bool
    ) -> None:
        self._access = access
        self._since = since
        self._customer = customer
        self._accept_changed = accept_changed

    def lists(self) -> Iterator[tuple[str, Iterator[_Subject]]]:
        """Yield what Stripe lists, by what is asked for; what awards comes before what is taken back."""
        if self._customer is not None:
            yield self._customer, self._checked(self._customer)
        yield "subscriptions", self._subscriptions()
        yield "payment intents", self._intents()
        yield "checkout sessions", self._sessions()
        returned: set[str] = set()
        yield "refunds", self._returns(stripe.Refund, returned)
        yield "disputes", self._returns(stripe.Dispute, returned)

    def _checked(self, customer: str) -> Iterator[_Subject]:
        """Find nothing; raises stripe.StripeError where there is no such customer."""
        stripe.Customer.retrieve(customer, **self._access.options())
        yield from ()

    def _subscriptions(self) -> Iterator[_Subject]:
        for payload in self._pages(stripe.Subscription, status="all"):
            ended_at = payload.get("ended_at")
            if ended_at is None or moment_from(ended_at) >= self._since:
                yield _Subject(f"sub:{payload['id']}", self._settling_subscription(payload))

    def _settling_subscription(self, payload: Payload) -> Callable[[], Settled]:
        return lambda: settle_subscription(payload["id"], self._access, announced=payload)

    def _intents(self) -> Iterator[_Subject]:
        for payload in self._pages(stripe.PaymentIntent, created=self._from(self._since)):
            if is_pack_purchase(metadata_of(payload)) and is_paid(payload):
                yield _Subject(f"pi:{payload['id']}", self._settling_intent(payload["id"]))

    def _settling_intent(self, intent_id: str) -> Callable[[], Settled]:
        return lambda: settle_intent(intent_id, self._access, accept_changed=self._accept_changed)

    def _sessions(self) -> Iterator[_Subject]:
        """Yield the sessions whose payment does not say what was bought; one that was free has none."""
        created = self._from(self._since)
        for payload in self._pages(stripe.checkout.Session, created=created, expand=["data.payment_intent"]):
            intent = payload.get("payment_intent") or {}
            if (
                is_pack_purchase(metadata_of(payload))
                and is_session_paid(payload)
                and not is_pack_purchase(metadata_of(intent))
            ):
                key = f"pi:{sid(intent)}" if intent else f"cs:{payload['id']}"
                yield _Subject(key, self._settling_session(payload["id"]))

    def _settling_session(self, session_id: str) -> Callable[[], Settled]:
        return lambda: settle_session(session_id, self._access, accept_changed=self._accept_changed)

    def _returns(self, kind: Any, returned: set[str]) -> Iterator[_Subject]:
        """Yield one refund or dispute for each charge that is not in `returned`, and add it there."""
        created = self._from(self._since - UNDECIDED)
        for payload in self._pages(
            kind, is_listed_by_customer=False, created=created, expand=["data.charge"]
        ):
            charge = payload.get("charge")
            if not isinstance(charge, Mapping) or charge["id"] in returned:
                continue
            if self._customer is None or sid(charge.get("customer")) == self._customer:
                returned.add(charge["id"])
                yield _Subject(charge["id"], self._settling_refund(payload))

    def _settling_refund(self, payload: Payload) -> Callable[[], Settled]:
        return lambda: settle_refund(payload, self._access)

    def _pages(self, kind: Any, *, is_listed_by_customer: bool = True, **filters: Any) -> Iterator[Payload]:
        """Yield all that Stripe lists, newest first, keeping a page at a time."""
        if self._customer is not None and is_listed_by_customer:
            filters["customer"] = self._customer
        for found in kind.list(limit=100, **filters, **self._access.options()).auto_paging_iter():
            yield found.to_dict()

    def _from(self, moment: datetime.datetime) -> dict[str, int]:
        return {"gte": int(moment.timestamp())}

"""Try again what could not be turned into credits."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import stripe
from django.db import router, transaction

from usage_credits.billing.notices import SOURCE
from usage_credits.billing.stripe_api import Access
from usage_credits.billing.stripe_purchases import settle_intent, settle_session
from usage_credits.billing.stripe_subscriptions import settle_subscription
from usage_credits.exceptions import UsageCreditsError
from usage_credits.models import PaymentNotice
from usage_credits.models.payment_notice import PaymentNoticeQuerySet


@dataclass(frozen=True)
class Retry:
    """How one notice fared: the row as it is now, and the error of a try that could not be finished."""

    notice: PaymentNotice
    error: str = ""

    @property
    def is_resolved(self) -> bool:
        return self.notice.resolved_at is not None


def open_notices(
    *, limit: int | None = None, customer: str | None = None, ids: Collection[int] | None = None
) -> PaymentNoticeQuerySet:
    """Return open notices of Stripe payments, oldest first; `customer` is a Stripe customer's id, `ids` our own."""
    notices = (
        PaymentNotice.objects.using(router.db_for_write(PaymentNotice)).unresolved().filter(source=SOURCE)
    )
    if customer is not None:
        notices = notices.filter(customer_id=customer)
    if ids is not None:
        notices = notices.filter(pk__in=ids)
    return notices if limit is None else notices[:limit]


def retry_notices(
    *,
    limit: int | None = None,
    customer: str | None = None,
    ids: Collection[int] | None = None,
    accept_changed: bool = False,
) -> Iterator[Retry]:
    """Settle the payments of open notices anew, each in a transaction of its own, and yield how each fared.

    `accept_changed` awards packs as they are defined today where they differ from what was sold.
    """
    for notice in list(open_notices(limit=limit, customer=customer, ids=ids)):
        error = ""
        try:
            with transaction.atomic(using=notice._state.db):
                _settle(notice, accept_changed=accept_changed)
        except (stripe.StripeError, UsageCreditsError) as failure:
            error = str(failure)
        notice.refresh_from_db(using=notice._state.db)
        yield Retry(notice, error)


def _settle(notice: PaymentNotice, *, accept_changed: bool) -> None:
    access = replace(Access.default(), account=notice.payload.get("account_id"))
    kind, _colon, object_id = notice.source_id.partition(":")
    session_id = notice.payload.get("checkout_session_id")
    if kind == "sub":
        settle_subscription(object_id, access)
    elif kind == "cs" or session_id:
        settle_session(session_id or object_id, access, accept_changed=accept_changed)
    else:
        settle_intent(object_id, access, accept_changed=accept_changed)

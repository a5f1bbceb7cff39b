"""Keep payments that cannot be turned into credits yet: visible, announced, and to be tried again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

from django.db import models, router, transaction
from django.db.models import F
from django.utils import timezone

from usage_credits.ledger.events import announce_now
from usage_credits.ledger.wallets import find_wallet
from usage_credits.models import Fulfillment, NoticeReason, PaymentNotice, Wallet

logger = logging.getLogger("usage_credits")

SOURCE = "stripe"


class Unresolvable(Exception):
    """A payment cannot be turned into credits as things are; it is kept as a notice, not raised to Stripe."""

    def __init__(self, reason: NoticeReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Report(Protocol):
    """What a provider reports of a payment or subscription."""

    @property
    def key(self) -> str: ...
    @property
    def customer_id(self) -> str: ...
    @property
    def metadata(self) -> Mapping[str, str]: ...
    @property
    def references(self) -> Mapping[str, str]: ...


def record_report(report: Report, problem: Unresolvable, owner: models.Model | None) -> PaymentNotice:
    """Keep what was reported as an open notice, of its owner's wallet where there is one; see `record_notice`."""
    return record_notice(
        report.key,
        problem,
        customer_id=report.customer_id,
        payload={**report.references, "metadata": dict(report.metadata)},
        wallet=find_wallet(owner) if owner else None,
    )


def record_notice(
    source_id: str, problem: Unresolvable, *, customer_id: str, payload: dict[str, Any], wallet: Wallet | None
) -> PaymentNotice:
    """Keep the payment `source_id` as an open notice, one for each payment, and return it.

    Logs an error and announces `fulfillment_failed` the first time and whenever the reason has changed. Commits with
    the caller's transaction.
    """
    using = router.db_for_write(PaymentNotice)
    found = {
        "reason": problem.reason,
        "detail": problem.detail,
        "customer_id": customer_id,
        "payload": payload,
    }
    with transaction.atomic(using=using):
        notices = PaymentNotice.objects.using(using)
        notice, is_new = notices.get_or_create(source=SOURCE, source_id=source_id, defaults=found)
        is_news = is_new or notice.reason != problem.reason
        if not is_new:
            notices.filter(pk=notice.pk).update(
                attempts=F("attempts") + 1, last_attempt_at=timezone.now(), resolved_at=None, **found
            )
            notice.refresh_from_db(using=using)
        if is_news:
            _tell(notice, wallet, using)
    return notice


def resolve_notice(source_id: str, fulfillment: Fulfillment | None) -> None:
    """Mark the payment's open notice, where there is one, as resolved; one statement."""
    using = router.db_for_write(PaymentNotice)
    PaymentNotice.objects.using(using).unresolved().filter(source=SOURCE, source_id=source_id).update(
        resolved_at=timezone.now(), fulfillment=fulfillment
    )


def _tell(notice: PaymentNotice, wallet: Wallet | None, using: str) -> None:
    logger.error(
        "The payment %s cannot be turned into credits: %s. %s",
        notice.source_id,
        notice.get_reason_display(),
        notice.detail,
    )
    metadata = {
        "source_id": notice.source_id,
        "detail": notice.detail,
        "customer_id": notice.customer_id,
        **notice.payload,
    }
    tell = partial(announce_now, "fulfillment_failed", wallet, reason=str(notice.reason), metadata=metadata)
    transaction.on_commit(tell, using=using)

"""Recurring grants: credits on a schedule, without payment and without a plan."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Mapping
from typing import Any, get_args

from django.db import models, router, transaction

from usage_credits import conf
from usage_credits.billing.manual_fulfillments import manual_fulfillments
from usage_credits.dsl.allowances import Allowance
from usage_credits.dsl.plans import UnusedCredits
from usage_credits.exceptions import IdempotencyConflict, InvalidValue
from usage_credits.ledger.keys import check_key
from usage_credits.ledger.wallets import open_wallet
from usage_credits.models import MANUAL_SOURCE, Fulfillment, FulfillmentKind, Wallet
from usage_credits.twins import twin
from usage_credits.values import check_metadata, check_moment, check_text

Moment = datetime.datetime | datetime.date


def start_grant(
    owner: models.Model,
    gives: Allowance,
    *,
    reason: str | None = None,
    unused_credits: UnusedCredits = "expire",
    starts_at: Moment | None = None,
    ends_at: Moment | None = None,
    metadata: Mapping[str, Any] | None = None,
    idempotency_key: str | None = None,
) -> Fulfillment:
    """Grant `owner` (any saved model) credits in every period and return the fulfillment.

    `gives` is an amount with a period, `credits(100).every("month")`. The first are posted at once, the others by
    `fulfill_credits`, on the dates counted from `starts_at` (default: now; one in the past or to come counts as for
    `start_plan`) and before `ends_at`. `unused_credits` is "expire" or "rollover" (keep). `reason` is kept with
    `metadata`, as `grant_reason`, and in each row. Each call starts another grant, unless its `idempotency_key` was
    used for this wallet: then the fulfillment of the first call is returned as it is.

    Locks the wallet's row; commits with the caller's transaction, or by itself. Raises InvalidValue for what is
    refused, a period below MIN_FULFILLMENT_PERIOD among it, IdempotencyConflict for a key of another grant.
    """
    kept = check_metadata(metadata)
    if reason is not None:
        kept["grant_reason"] = check_text(reason, "reason")
    kept |= {
        "credits": _check_allowance(gives).amount,
        "unused_credits": _check_unused_credits(unused_credits),
    }
    start, end = check_moment(starts_at, "starts_at"), check_moment(ends_at, "ends_at")
    key = check_key(idempotency_key)
    with (
        transaction.atomic(using=router.db_for_write(Wallet, instance=owner)),
        manual_fulfillments(open_wallet(owner)) as manual,
    ):
        source_id = _source_id(manual.post.wallet, key) if key else None
        known = manual.find(source_id) if source_id else None
        if known is not None:
            return _check_same(known, gives, kept)
        return manual.start(
            starts_at=start,
            ends_at=end,
            kind=FulfillmentKind.MANUAL,
            source_id=source_id,
            period=gives.period.iso,
            metadata=kept,
        )


astart_grant = twin(start_grant)


def stop_grant(fulfillment: Fulfillment, *, at: Moment | None = None) -> Fulfillment | None:
    """Stop a recurring grant, now or at `at`, and return its fulfillment; None where it has stopped.

    What is due by then is awarded first; credits stay until their own expiry. Called again with another moment, it
    moves a stop that has not come; a moment in the past means now. Locks the wallet's row; commits with the caller's
    transaction, or by itself. Raises InvalidValue for the fulfillment of something else and for a bad moment.
    """
    _check_grant(fulfillment)
    moment = check_moment(at, "at")
    with manual_fulfillments(fulfillment.wallet) as manual:
        for running in manual.waiting(pk=fulfillment.pk):
            manual.bring_up(running)
            if manual.is_running(running):
                manual.stop(running, moment)
                return running
    return None


astop_grant = twin(stop_grant)


def _check_grant(fulfillment: object) -> None:
    if (
        not isinstance(fulfillment, Fulfillment)
        or fulfillment._state.adding
        or (fulfillment.source, fulfillment.kind) != (MANUAL_SOURCE, FulfillmentKind.MANUAL)
    ):
        raise InvalidValue.of("fulfillment", fulfillment, "what start_grant returned")


def _check_allowance(gives: object) -> Allowance:
    minimum = conf.current().min_fulfillment_period
    if not isinstance(gives, Allowance) or gives.period.approximate_length < minimum:
        raise InvalidValue.of(
            "gives", gives, f'an amount with a period of at least {minimum}, as credits(100).every("month")'
        )
    return gives


def _check_unused_credits(value: object) -> object:
    if not isinstance(value, str) or value not in get_args(UnusedCredits):
        raise InvalidValue.of("unused_credits", value, '"expire" or "rollover"')
    return value


def _check_same(known: Fulfillment, gives: Allowance, kept: Mapping[str, Any]) -> Fulfillment:
    was = (known.period, known.metadata.get("credits"), known.metadata.get("unused_credits"))
    if was != (gives.period.iso, kept["credits"], kept["unused_credits"]):
        raise IdempotencyConflict("The idempotency key was used before for another recurring grant.")
    return known


def _source_id(wallet: Wallet, key: str) -> str:
    """Return a source id that names the grant for ever; a digest, as a key may take all of the column by itself."""
    return f"grant:{wallet.pk}:{hashlib.sha256(key.encode()).hexdigest()}"

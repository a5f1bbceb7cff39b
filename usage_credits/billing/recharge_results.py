"""What becomes of a recharge: paid, awarded, or failed; each end is written once, whoever hears of it first."""

from __future__ import annotations

import datetime
import logging
from dataclasses import dataclass
from typing import Any, Final, Literal

from django.db.models import F, Q

from usage_credits import conf
from usage_credits.dsl.categories import CREDIT_PACK_REFUND
from usage_credits.ledger.events import announce
from usage_credits.ledger.journal import posting
from usage_credits.ledger.posting import Posting
from usage_credits.models import (
    Debt,
    Fulfillment,
    Recharge,
    RechargeSetting,
    RechargeState,
    Transaction,
    Wallet,
)
from usage_credits.models.recharge import RechargeQuerySet

logger = logging.getLogger("usage_credits")

RECHARGE_KEY: Final = "usage_credits_recharge"
"""The key in Stripe's metadata that names the recharge which a payment is for."""

LONGEST_PAUSE: Final = datetime.timedelta(days=30)
MOST_DOUBLINGS: Final = 16

Outcome = Literal["paid", "processing", "declined", "unanswered"]

REFUNDED: Final = "refunded"

NOT_WANTED: Final = "not_wanted"
"""The reason of a recharge that had not reached Stripe when it was no longer wanted. It is no failure."""


@dataclass(frozen=True)
class Answer:
    """What Stripe says of a recharge's payment now.

    `unanswered`: it is not known whether Stripe took it. `reason` is a code for programs, `error` a text for people.
    """

    outcome: Outcome
    payment: str | None = None
    reason: str = ""
    error: str = ""


def take_in(recharge: Recharge, answer: Answer) -> None:
    """Write what Stripe says of a recharge, unless it has ended meanwhile. Awards nothing: the purchase does that."""
    if answer.outcome == "declined":
        fail(recharge, answer)
        return
    known: dict[str, Any] = {"error": answer.error}
    if answer.payment:
        known["payment"] = answer.payment
    if answer.outcome == "paid":
        known["state"] = RechargeState.PAID
    _row(recharge).in_flight().update(**known)
    if answer.outcome == "unanswered":
        logger.warning("The recharge %s stays in flight: %s", recharge.pk, answer.error)


def complete(key: str, fulfillment: Fulfillment) -> None:
    """End the recharge of this key as succeeded by the fulfillment that its payment was awarded by.

    Call it in the transaction of the award, under the wallet's lock. Does nothing for a key that is none, for a
    recharge that was paid by another payment, and where it is done already.
    """
    using, payment = fulfillment._state.db, fulfillment.source_id
    recharges = Recharge.objects.using(using).filter(key=key, fulfillment=None)
    ended = recharges.filter(Q(payment=None) | Q(payment=payment)).update(
        state=RechargeState.SUCCEEDED,
        in_flight_of=None,
        payment=payment,
        fulfillment=fulfillment,
        reason="",
        error="",
        next_attempt_at=None,
        ended_at=fulfillment.last_fulfilled_at,
    )
    if not ended:
        return
    recharge = Recharge.objects.using(using).select_related("wallet").get(key=key)
    settings = RechargeSetting.objects.using(using).filter(wallet=recharge.wallet_id)
    settings.update(failures=0, told_at=None, paused_until=None)
    awards = Transaction.objects.using(using).filter(fulfillment=fulfillment, amount__gt=0)
    announce(
        "recharge_succeeded",
        recharge.wallet,
        amount=recharge.credits,
        transaction=awards.oldest_first().first(),
        fulfillment=fulfillment,
        metadata=_facts(recharge),
    )


def fail(recharge: Recharge, answer: Answer) -> None:
    """End a recharge as failed and put off the next one; nothing where it has ended.

    The owner is told by `recharge_failed`: of the first failure of several in a row, and when recharging is switched
    off after RECHARGE_MAX_FAILURES of them. One that is not wanted any more ends without a word. Locks the wallet's
    row; commits with the caller's transaction, or by itself.
    """
    with posting(recharge.wallet) as post:
        fail_locked(post, recharge, answer)


def fail_locked(post: Posting, recharge: Recharge, answer: Answer) -> None:
    """Do what `fail` does under a lock that is held already."""
    ended = (
        _row(recharge)
        .in_flight()
        .update(
            state=RechargeState.FAILED,
            in_flight_of=None,
            payment=answer.payment or F("payment"),
            reason=answer.reason[:100],
            error=answer.error,
            next_attempt_at=None,
            ended_at=post.now,
        )
    )
    if not ended:
        return
    recharge.refresh_from_db(using=post.wallet._state.db)
    logger.warning("The recharge %s failed: %s. %s", recharge.pk, recharge.reason, recharge.error)
    setting = (
        RechargeSetting.objects.using(post.wallet._state.db)
        .filter(wallet=post.wallet, is_enabled=True)
        .first()
    )
    if setting is None or recharge.reason == NOT_WANTED:
        return
    _put_off(setting, post.now, recharge.reason)
    is_news = setting.told_at is None or not setting.is_enabled
    if is_news:
        setting.told_at = post.now
    setting.save(using=post.wallet._state.db)
    if is_news:
        tell_failure(post.wallet, setting, recharge.reason, _facts(recharge))


def stop_refunded(post: Posting, setting: RechargeSetting) -> None:
    """Switch recharging off because money of a recharge went back, and tell the owner; under the wallet's lock."""
    setting.is_enabled, setting.stop_reason, setting.told_at = False, REFUNDED, post.now
    setting.save(using=post.wallet._state.db)
    tell_failure(post.wallet, setting, REFUNDED, {})


def was_refunded(wallet: Wallet, setting: RechargeSetting) -> bool:
    """Tell whether money went back, by a refund or dispute, since the wallet's owner agreed to `setting`.

    That of a recharge, however old, or of any other payment whose credits had been spent: the next credits would pay
    for those.
    """
    using, since = wallet._state.db, setting.set_at
    recharges = Recharge.objects.using(using).filter(wallet=wallet)
    if recharges.filter(reason=REFUNDED, ended_at__gte=since).exists():
        return True
    awarded = recharges.filter(fulfillment__isnull=False).values("fulfillment")
    taken = Transaction.objects.using(using).filter(
        fulfillment__in=awarded, category=CREDIT_PACK_REFUND, amount__lt=0, created_at__gte=since
    )
    claimed = Debt.objects.using(using).filter(
        wallet=wallet, fulfillment__isnull=False, created_at__gte=since
    )
    return taken.exists() or claimed.exists()


def tell_failure(wallet: Wallet, setting: RechargeSetting, reason: str, facts: dict[str, Any]) -> None:
    """Announce `recharge_failed` after the commit, with how the setting stands."""
    standing = {
        "pack_name": setting.pack_name,
        "failures": setting.failures,
        "is_enabled": setting.is_enabled,
        "paused_until": setting.paused_until and setting.paused_until.isoformat(),
    }
    announce("recharge_failed", wallet, reason=reason, metadata={**standing, **facts})


def _put_off(setting: RechargeSetting, now: datetime.datetime, reason: str) -> None:
    settings = conf.current()
    setting.failures += 1
    if reason == REFUNDED:
        setting.is_enabled, setting.stop_reason = False, REFUNDED
    elif setting.failures >= settings.recharge_max_failures:
        setting.is_enabled, setting.stop_reason = False, reason
    else:
        first = min(settings.recharge_retry_after, LONGEST_PAUSE)
        pause = min(first * 2 ** min(setting.failures - 1, MOST_DOUBLINGS), LONGEST_PAUSE)
        setting.paused_until = now + pause


def _facts(recharge: Recharge) -> dict[str, Any]:
    return {
        "recharge": recharge.pk,
        "pack_name": recharge.pack_name,
        "credits": recharge.credits,
        "price_cents": recharge.amount,
        "price_currency": recharge.currency.upper(),
        "payment": recharge.payment,
        "error": recharge.error,
    }


def _row(recharge: Recharge) -> RechargeQuerySet:
    return Recharge.objects.using(recharge._state.db).filter(pk=recharge.pk)

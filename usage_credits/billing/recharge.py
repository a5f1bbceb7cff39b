"""Recharge wallets that run low: at most one charge in flight for each, within its caps.

A recharge is a row that is committed before Stripe hears of it. So whatever happens to the process or to the answer,
the next run finds the row and asks again under the same idempotency key. The award is that of any purchase: it is made
by `purchases.settle`, when Stripe's webhook tells of the payment, and ends the row in the same transaction.
"""

from __future__ import annotations

import datetime
import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from django.db import router, transaction
from django.db.models import F, QuerySet
from django.utils import timezone

from usage_credits.billing.providers import require_provider
from usage_credits.billing.recharge_results import (
    Answer,
    fail_locked,
    stop_refunded,
    take_in,
    was_refunded,
)
from usage_credits.billing.recharge_settings import PERIOD_OF, due_settings, is_as_agreed, is_wanted
from usage_credits.ledger.capped import window_after, window_at
from usage_credits.ledger.journal import lock_all
from usage_credits.ledger.posting import Posting
from usage_credits.ledger.wallet_ranges import WalletRange, of_wallets
from usage_credits.ledger.wallets import asset_of
from usage_credits.models import Recharge, RechargeSetting, RechargeState, Wallet
from usage_credits.twins import twin

logger = logging.getLogger("usage_credits")

LEASE: Final = datetime.timedelta(minutes=5)
"""How long a recharge is left to who works on it, and its webhook is waited for, before it is asked about again."""

MOST_DOUBLINGS: Final = 4
MOST_UNANSWERED: Final = 5
"""After so many questions in a row that Stripe does not answer a run ends: the next one will ask."""


@dataclass(frozen=True)
class Recharged:
    """What a run came to: recharges that are paid, that failed, whose money is on its way, that have no answer."""

    paid: int = 0
    failed: int = 0
    processing: int = 0
    unanswered: int = 0
    """It is not known yet whether they are paid, or their credits could not be awarded. They are asked about again."""

    def __add__(self, other: Recharged) -> Recharged:
        return Recharged(
            self.paid + other.paid,
            self.failed + other.failed,
            self.processing + other.processing,
            self.unanswered + other.unanswered,
        )

    @property
    def tried(self) -> int:
        return self.paid + self.failed + self.processing + self.unanswered


def recharge_if_due(wallet: Wallet) -> Recharge | None:
    """Charge the wallet's owner for the pack they agreed to, if a recharge is due, and return the attempt, else None.

    Due is a wallet whose balance is below its threshold, that is not paused after a failure, has not reached its caps,
    and for which no recharge is in flight. One in flight that nobody has asked about for a while is asked about again
    and returned. Awards nothing: the credits come with Stripe's webhook, and until then the wallet spends what it has.

    Asks Stripe, so call it where that may take time, and not in a transaction: RuntimeError. What Stripe refuses is on
    the attempt (`state`, `reason`, `error`) and is announced as `recharge_failed`. Locks the wallet's row for as long
    as it takes to write the attempt. Raises ImproperlyConfigured where dj-stripe is not installed.
    """
    require_provider()
    using = router.db_for_write(Wallet, instance=wallet)
    begun = _resumed(wallet.pk, using) or _started(wallet.pk, using, waits=True)
    if not isinstance(begun, Recharge):
        return None
    _advance(begun)
    begun.refresh_from_db(using=using)
    return begun


arecharge_if_due = twin(recharge_if_due)


def is_due(wallet: Wallet) -> bool:
    """Tell whether a recharge of the wallet would begin now, but for its caps; one statement, no lock."""
    using = router.db_for_write(Wallet, instance=wallet)
    return due_settings(using, timezone.now()).filter(wallet=wallet.pk).exists()


def count_due(*, wallets: WalletRange | None = None, using: str | None = None) -> int:
    """Return how many recharges are due or to be asked about now, in two statements."""
    using, now = using or router.db_for_write(Wallet), timezone.now()
    kept = of_wallets(wallets)
    return due_settings(using, now).filter(kept).count() + _to_resume(using, now).filter(kept).count()


def recharge_due(
    *, batch_size: int = 1_000, wallets: WalletRange | None = None, using: str | None = None
) -> Iterator[Recharged]:
    """Ask about what is in flight, then recharge what is due, wallet by wallet; yield what each batch came to.

    `batch_size` is how many wallets are looked up at once. Each recharge commits by itself before Stripe is asked, so
    when this is interrupted the next run goes on. Several may run at once and on many hosts: wallets that somebody
    else holds are taken up last, and waited for then. One that fails stops no other; where Stripe does not answer
    several times in a row, the run ends. `wallets` leaves out all others.
    """
    require_provider()
    yield from _Run(batch_size, wallets, using or router.db_for_write(Wallet)).batches()


class _Run:
    """One run over what is in flight and what is due when it comes to it."""

    def __init__(self, batch_size: int, wallets: WalletRange | None, using: str) -> None:
        self._size = batch_size
        self._kept = of_wallets(wallets)
        self._using = using
        self._held: list[int] = []
        self._silence = 0

    def batches(self) -> Iterator[Recharged]:
        for in_flight in (True, False):
            last = 0
            while pks := self._page(last, in_flight=in_flight):
                yield self._work(pks, in_flight=in_flight, waits=False)
                last = pks[-1]
        held, self._held = self._held, []
        if held:
            yield self._work(held, in_flight=False, waits=True)

    def _page(self, last: int, *, in_flight: bool) -> list[int]:
        if self._silence >= MOST_UNANSWERED:
            return []
        now = timezone.now()
        rows: QuerySet[Recharge] | QuerySet[RechargeSetting]
        rows = _to_resume(self._using, now) if in_flight else due_settings(self._using, now)
        found = rows.filter(self._kept, wallet__gt=last).order_by("wallet")
        return list(found.values_list("wallet", flat=True)[: self._size])

    def _work(self, pks: list[int], *, in_flight: bool, waits: bool) -> Recharged:
        done = Recharged()
        for pk in pks:
            if self._silence >= MOST_UNANSWERED:
                logger.error("Stripe did not answer %d times in a row: the run ends", self._silence)
                break
            one = self._one(pk, in_flight=in_flight, waits=waits)
            self._silence = self._silence + 1 if one.unanswered else 0
            done += one
        return done

    def _one(self, pk: int, *, in_flight: bool, waits: bool) -> Recharged:
        try:
            begun = _resumed(pk, self._using) if in_flight else _started(pk, self._using, waits=waits)
            if begun == "held":
                self._held.append(pk)
            if not isinstance(begun, Recharge):
                return Recharged()
            return _counted(begun, _advance(begun))
        except Exception:
            logger.exception("The recharge of wallet %d could not be finished", pk)
            return Recharged(unanswered=1)


def _counted(recharge: Recharge, answer: Answer | None) -> Recharged:
    match answer.outcome if answer else "paid":
        case "paid":
            return Recharged(paid=1)
        case "declined":
            return Recharged(failed=1)
        case "processing":
            return Recharged(processing=1)
    return Recharged(unanswered=1)


def _to_resume(using: str, now: datetime.datetime) -> QuerySet[Recharge]:
    return Recharge.objects.using(using).to_resume(now)


def _resumed(wallet_id: int, using: str) -> Recharge | None:
    """Return the wallet's recharge in flight if it is to be asked about, taken from all others for a while."""
    now = timezone.now()
    # Durable, as below.
    with transaction.atomic(using=using, durable=True):
        recharge = _to_resume(using, now).filter(in_flight_of=wallet_id).select_related("wallet").first()
        if recharge is None:
            return None
        lease = LEASE * 2 ** min(recharge.attempts, MOST_DOUBLINGS)
        seen = Recharge.objects.using(using).in_flight().filter(pk=recharge.pk, attempts=recharge.attempts)
        taken = seen.update(attempts=F("attempts") + 1, next_attempt_at=now + lease)
    return recharge if taken else None


def _started(wallet_id: int, using: str, *, waits: bool) -> Recharge | Literal["held"] | None:
    """Commit the row of a new recharge where one is due, and return it; "held" where somebody holds the wallet."""
    if not due_settings(using, timezone.now()).filter(wallet=wallet_id).exists():
        return None
    # Durable: the row must be there before Stripe is asked, whatever becomes of a transaction around this.
    with transaction.atomic(using=using, durable=True):
        post = lock_all([wallet_id], using, skip_locked=not waits).get(wallet_id)
        if post is None:
            return "held"
        # Asked anew under the lock: an award, another worker or the owner may have come first.
        setting = due_settings(using, post.now).filter(wallet=wallet_id).first()
        return _begin(post, setting) if setting and _may_begin(post, setting) else None


def _may_begin(post: Posting, setting: RechargeSetting) -> bool:
    """Tell whether the wallet may be charged for now; switches off or puts off what may not."""
    wallet, using = post.wallet, post.wallet._state.db
    if wallet.owner is None or asset_of(wallet.owner) != wallet.asset:
        # Nobody to charge, or the credits would go to another wallet and this one be charged for again.
        setting.is_enabled, setting.stop_reason = (
            False,
            "no_owner" if wallet.owner is None else "other_wallet",
        )
        setting.save(using=using)
        logger.warning("Wallet %d is not recharged any more: %s", wallet.pk, setting.stop_reason)
        return False
    if was_refunded(wallet, setting):
        stop_refunded(post, setting)
        return False
    resting = _capped_until(post, setting)
    if resting:
        setting.paused_until = resting
        setting.save(using=using, update_fields=["paused_until"])
    return resting is None


def _capped_until(post: Posting, setting: RechargeSetting) -> datetime.datetime | None:
    """Return when the caps leave room again, None where they do now. What was not charged does not count."""
    recharges = Recharge.objects.using(post.wallet._state.db).filter(wallet=post.wallet)
    charged = recharges.exclude(state=RechargeState.FAILED)
    ends = []
    for cap, every in PERIOD_OF.items():
        begin, end = window_at(every, post.now), window_after(every, post.now)
        if charged.filter(created_at__gte=begin, created_at__lt=end).count() >= getattr(setting, cap):
            ends.append(end)
    return max(ends, default=None)


def _begin(post: Posting, setting: RechargeSetting) -> Recharge:
    sold = setting.as_sold
    recharge = Recharge(
        wallet=post.wallet,
        in_flight_of=post.wallet,
        key=uuid.uuid4().hex,
        pack_name=setting.pack_name,
        as_sold=sold,
        credits=int(sold["credits"]) + int(sold["bonus_credits"]),
        amount=int(sold["price_cents"]),
        currency=sold["price_currency"].lower(),
        created_at=post.now,
        next_attempt_at=post.now + LEASE,
    )
    recharge.save(using=post.wallet._state.db)
    if not is_as_agreed(setting):
        problem = "The pack is not in CREDIT_PACKS as its owner agreed to buy it."
        fail_locked(post, recharge, Answer("declined", None, "pack_changed", problem))
    return recharge


def _advance(recharge: Recharge) -> Answer | None:
    """Ask Stripe about a recharge, outside of any transaction, and take in what it says; None where it is awarded."""
    # dj-stripe's models can be imported only where it is installed.
    from usage_credits.billing.stripe_recharges import pay, settle

    if not recharge.is_in_flight:
        return Answer("declined", None, recharge.reason)
    is_paid = recharge.state == RechargeState.PAID
    answer = settle(recharge) if is_paid else pay(recharge, is_wanted=is_wanted(recharge))
    if answer is not None:
        take_in(recharge, answer)
    return answer

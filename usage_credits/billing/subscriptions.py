"""Turn subscriptions into credits: each cycle once, whatever announces it, how often and how late."""

from __future__ import annotations

from collections.abc import Callable

from django.db import IntegrityError, models, router, transaction

from usage_credits import conf
from usage_credits.billing.awards import announce_awards
from usage_credits.billing.notices import Unresolvable, record_report, resolve_notice
from usage_credits.billing.reports import OutdatedReport, find_fulfillment
from usage_credits.billing.subscription_lives import Life
from usage_credits.billing.subscription_records import is_older_copy
from usage_credits.billing.subscription_reports import Change, Subscription, Term
from usage_credits.billing.unpaid_periods import settle_payments
from usage_credits.exceptions import UsageCreditsError
from usage_credits.ledger.journal import posting
from usage_credits.ledger.wallets import open_wallet
from usage_credits.models import Fulfillment, NoticeReason, PaymentNotice, Wallet

PLAN_KEY = "plan_name"
"""The key of a subscription's metadata under which our checkout names the plan."""


FindOwner = Callable[[], models.Model | None]


def settle(subscription: Subscription, find_owner: FindOwner) -> Fulfillment | PaymentNotice | None:
    """Bring the awards of a subscription to what they should be by now, and return what stands for it.

    Does nothing, and returns None, for a subscription of no plan of ours and for one of which nothing was paid. All
    that one report leads to commits together, or with the caller's transaction, under the wallet's lock. Without an
    owner, or where the plan that our checkout sold has gone from settings, it becomes an open notice. The wallet of a
    subscription that was seen before stays its wallet, whatever the provider says of the customer since. Raises
    OutdatedReport, with nothing written, where it has taken in another report since this one was asked for.
    """
    known = find_fulfillment(subscription.key)
    try:
        wallet = known.wallet if known else _open_wallet(subscription, find_owner)
        fulfillment = _replay(subscription, wallet) if wallet else None
    except Unresolvable as problem:
        return record_report(subscription, problem, find_owner())
    if fulfillment is not None:
        resolve_notice(subscription.key, fulfillment)
    return fulfillment


def _open_wallet(subscription: Subscription, find_owner: FindOwner) -> Wallet | None:
    """Return the wallet of a subscription that is seen for the first time; None for one that brings no credits yet."""
    steps: list[Term | Change] = [*subscription.steps] if subscription.terms else []
    if subscription.trial is not None:
        steps.append(subscription.trial)
    if not any(conf.find_plan_for_price(step.price_id) for step in steps):
        plan_name = subscription.metadata.get(PLAN_KEY)
        if steps and plan_name and conf.find_subscription_plan(plan_name) is None:
            raise Unresolvable(NoticeReason.UNKNOWN_PLAN, f"plan: {plan_name}")
        return None
    owner = find_owner()
    if owner is None:
        raise Unresolvable(NoticeReason.NO_OWNER, f"customer: {subscription.customer_id or 'none'}")
    return open_wallet(owner)


def _replay(subscription: Subscription, wallet: Wallet) -> Fulfillment | None:
    using = router.db_for_write(Wallet, instance=wallet)
    try:
        # A savepoint: what was written before a refusal or a lost race goes, the caller's transaction stays usable.
        with transaction.atomic(using=using):
            known = find_fulfillment(subscription.key, using)
            if known is not None and not is_older_copy(subscription, known):
                settle_payments(known, subscription)
            with posting(wallet, takes=True) as post:
                # Read under the lock: another notice may have been settled since.
                locked = find_fulfillment(subscription.key, using)
                if (locked.revision if locked else None) != subscription.revision:
                    raise OutdatedReport(subscription.key)
                life = Life(post, locked, subscription)
                fulfillment = life.replay()
            announce_awards(post.wallet, life.awards)
    except IntegrityError:
        # Two first notices found different owners; the one that came first stays.
        winner = find_fulfillment(subscription.key)
        if winner is None or winner.wallet_id == wallet.pk:
            raise
        return _replay(subscription, winner.wallet)
    except UsageCreditsError as refusal:
        raise Unresolvable(NoticeReason.REFUSED, str(refusal)) from refusal
    return fulfillment

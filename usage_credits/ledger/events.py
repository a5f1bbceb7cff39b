"""Announce what a posting did, once it is certain to stay."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import models, transaction

from usage_credits import conf, signals
from usage_credits.dsl.categories import EXPIRATION, REFUNDS
from usage_credits.ledger.alerts import Alerts
from usage_credits.models import Transaction, Wallet

logger = logging.getLogger("usage_credits")


@dataclass(frozen=True)
class Happening:
    """An event besides the rows of a posting, and the fields of its context."""

    event: str
    fields: dict[str, Any]


def announce(event: str, wallet: Wallet, **fields: Any) -> None:
    """Send `event` after the outermost commit, after those announced before; a rollback drops it."""
    transaction.on_commit(partial(announce_now, event, wallet, **fields), using=wallet._state.db)


def announce_posting(
    wallet: Wallet, happened: Sequence[Transaction | Happening], last_award: int | None
) -> None:
    """Announce the rows of a posting and what else happened, in this order, as `announce` does.

    `last_award` is what a pack or plan had awarded last before the posting. Who listens is asked at
    the commit, and only for them it is worked out what there is to tell.
    """
    if happened:
        alerts = Alerts(conf.current().thresholds, last_award)
        transaction.on_commit(partial(_tell_all, wallet, happened, alerts), using=wallet._state.db)


def _tell_all(wallet: Wallet, happened: Sequence[Transaction | Happening], alerts: Alerts) -> None:
    if not conf.current().callbacks and not any(signal.receivers for signal in signals.ALL.values()):
        return
    for one in happened:
        if isinstance(one, Transaction):
            _tell_posted(wallet, one, alerts)
        else:
            announce_now(one.event, wallet, **one.fields)


def announce_now(event: str, wallet: Wallet | None, **fields: Any) -> None:
    """Send `event` at once to its receivers and to the CALLBACKS of settings; what they raise is logged."""
    signal = signals.ALL[event]
    callbacks = _callbacks_for(event)
    if not callbacks and not signal.receivers:
        return
    owner = wallet.owner if wallet else None
    sender = _owner_model(wallet) if wallet else None
    context = signals.EventContext(event=event, owner=owner, wallet=wallet, **fields)
    signal.send_robust(sender=sender, context=context)
    for callback in callbacks:
        try:
            callback(signal=signal, sender=sender, context=context)
        except Exception:
            logger.exception("The callback %r for %s failed", callback, event)


def _is_heard(event: str) -> bool:
    return bool(signals.ALL[event].receivers or _callbacks_for(event))


def _callbacks_for(event: str) -> tuple[Callable[..., Any], ...]:
    """Return the event's callbacks; what cannot be imported must not fail an operation that has been committed."""
    try:
        return conf.current().callbacks_for(event)
    except conf.InvalidSetting:
        logger.exception("The callbacks for %s cannot be imported", event)
        return ()


def _tell_posted(wallet: Wallet, row: Transaction, alerts: Alerts) -> None:
    """Tell of one posted row: that it was posted, the thresholds that it crossed, the refund that it is of."""
    event = "credits_added" if row.amount > 0 else "credits_deducted"
    if row.category == EXPIRATION:
        event = "credits_expired"
    balances = {"previous_balance": row.balance_before, "new_balance": row.balance_after}
    announce_now(
        event,
        wallet,
        amount=abs(row.amount),
        transaction=row,
        category=row.category,
        metadata=row.metadata,
        **balances,
    )
    for raised, fields in alerts.raised_by(row, _is_heard):
        announce_now(raised, wallet, **fields, **balances)
    if row.balance_after == 0 < row.balance_before:
        announce_now("balance_depleted", wallet, **balances)
    if row.amount < 0 and row.category in REFUNDS and row.fulfillment is not None:
        announce_now(
            "credits_refunded",
            wallet,
            amount=-row.amount,
            transaction=row,
            category=row.category,
            fulfillment=row.fulfillment,
            metadata=row.metadata,
        )


def _owner_model(wallet: Wallet) -> type[models.Model] | None:
    """Return the owner's model, the same for an owner that was loaded as a proxy; None once it is detached."""
    if wallet.owner_type_id is None:
        return None
    types = ContentType.objects.db_manager(wallet._state.db)  # remembers the types it has read
    return types.get_for_id(wallet.owner_type_id).model_class()

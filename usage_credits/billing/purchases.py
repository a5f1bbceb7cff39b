"""Turn paid packs into credits: each purchase once, whatever announces it and how often."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, models, router, transaction

from usage_credits import conf
from usage_credits.billing import refunds
from usage_credits.billing.notices import SOURCE, Unresolvable, record_report, resolve_notice
from usage_credits.billing.recharge_results import RECHARGE_KEY, complete
from usage_credits.billing.refunds import Look, Returned
from usage_credits.billing.reports import OutdatedReport, find_fulfillment
from usage_credits.dsl.categories import CREDIT_PACK_PURCHASE
from usage_credits.dsl.money import Money
from usage_credits.dsl.packs import PURCHASE_TYPE, CreditPack
from usage_credits.exceptions import UsageCreditsError
from usage_credits.ledger.credits import credit_entry
from usage_credits.ledger.events import announce
from usage_credits.ledger.journal import posting
from usage_credits.ledger.keys import find_replay
from usage_credits.ledger.posting import Posting
from usage_credits.ledger.wallets import open_wallet
from usage_credits.models import (
    Fulfillment,
    FulfillmentKind,
    NoticeReason,
    PaymentNotice,
    Transaction,
    Wallet,
)

logger = logging.getLogger("usage_credits")

FindOwner = Callable[[], models.Model | None]


@dataclass(frozen=True, kw_only=True)
class Purchase:
    """A payment for a pack, as its provider reports it now. Amounts are in the currency's minor unit."""

    key: str
    """Names the payment for ever: `pi:<payment intent>`, or `cs:<checkout session>` where nothing was due."""
    metadata: Mapping[str, str]
    """What checkout recorded of the pack; all text."""
    is_paid: bool
    amount: int
    currency: str
    returned: Returned
    """What went back of it when this was read."""
    customer_id: str = ""
    charge: Mapping[str, Any] | None = None
    purchased_at: datetime.datetime | None = None
    references: Mapping[str, str] = field(default_factory=dict)
    """The provider's ids that lead to this payment, for people and for trying again."""

    @property
    def pack_name(self) -> str | None:
        """Return the name of the pack that was sold; None for a payment that is not for a pack."""
        return self.metadata.get("pack_name") or None if is_pack_purchase(self.metadata) else None


def is_pack_purchase(metadata: Mapping[str, str] | None) -> bool:
    """Tell whether metadata marks a purchase of a pack."""
    return (metadata or {}).get("purchase_type") == PURCHASE_TYPE


def find_settled(key: str) -> Fulfillment | None:
    """Return the fulfillment of a purchase, or None; a notice that was left open beside one is resolved."""
    fulfillment = find_fulfillment(key)
    if fulfillment is not None:
        resolve_notice(key, fulfillment)
    return fulfillment


def settle(
    purchase: Purchase, find_owner: FindOwner, look: Look, *, accept_changed: bool = False
) -> Fulfillment | PaymentNotice | None:
    """Bring the award of a purchase, and what was taken back of it, to what they should be by now.

    Returns what stands for the purchase. Does nothing, and returns None, for what is no pack, is not paid, or was
    wholly refunded before it was first seen; what was refunded in part is awarded, and its share taken back. Award and
    fulfillment commit together, or with the caller's transaction, under the wallet's lock. `look` asks what went back
    of a purchase that is awarded already, and once more of a new one after it is committed: a refund may have come
    meanwhile. What cannot be resolved (unknown pack, no owner, a pack that differs from what was sold, refused by the
    ledger) becomes an open notice; `accept_changed` awards the pack as it is today.
    """
    known = find_settled(purchase.key)
    if known is not None:
        refunds.settle_pack(known, look)
        return known
    if purchase.pack_name is None or not purchase.is_paid:
        return None
    settled: Fulfillment | PaymentNotice | None
    if purchase.returned.is_whole:
        settled = _await_award(purchase, find_owner)
        if settled is None:
            logger.warning("The payment %s was refunded before it was awarded: no credits", purchase.key)
            resolve_notice(purchase.key, None)
    else:
        settled = _award_or_notice(purchase, find_owner, accept_changed=accept_changed)
    if isinstance(settled, Fulfillment):
        _take_back(settled, purchase.returned, look)
    return settled


def _take_back(fulfillment: Fulfillment, returned: Returned, look: Look) -> None:
    """Take back what had gone back when the purchase was read, and look again once its award is committed."""
    if returned.total:
        # Outdated: somebody else awarded it and knows more. What remains is seen by looking again.
        with suppress(OutdatedReport):
            refunds.take_back_pack(fulfillment, returned, revision=0)

    def look_again() -> None:
        refunds.settle_pack(fulfillment, look)

    # Robust: the award stands. Where this look fails, the refund's next notice or sync_credits takes back.
    transaction.on_commit(look_again, using=fulfillment._state.db, robust=True)


def _await_award(purchase: Purchase, find_owner: FindOwner) -> Fulfillment | None:
    """Return the award that somebody is making at this moment, of what was read before the refund; else None."""
    owner = find_owner()
    if owner is None:
        return None
    with posting(open_wallet(owner)):
        return find_fulfillment(purchase.key)


def _award_or_notice(
    purchase: Purchase, find_owner: FindOwner, *, accept_changed: bool
) -> Fulfillment | PaymentNotice:
    owner = find_owner()
    try:
        pack = _sold_pack(purchase, accept_changed=accept_changed)
        if owner is None:
            raise Unresolvable(NoticeReason.NO_OWNER, f"customer: {purchase.customer_id or 'none'}")
        return _award_once(purchase, pack, owner)
    except Unresolvable as problem:
        return record_report(purchase, problem, owner)


def _sold_pack(purchase: Purchase, *, accept_changed: bool) -> CreditPack:
    """Return the pack as settings define it; it is what is awarded, whatever the metadata says (PFL-17)."""
    pack = conf.find_credit_pack(purchase.pack_name)
    if pack is None:
        raise Unresolvable(NoticeReason.UNKNOWN_PACK, f"pack: {purchase.pack_name}")
    defined = pack.base_metadata()
    changes = [
        f"{name} was {purchase.metadata[name]} when sold and is {value}"
        for name, value in defined.items()
        if _plain(purchase.metadata.get(name, value)) != _plain(value)
    ]
    # A promotion lowers what is paid; nothing of ours changes its currency.
    if purchase.currency != pack.price.currency:
        changes.append(f"paid in {purchase.currency}, priced in {pack.price.currency}")
    if changes and not accept_changed:
        raise Unresolvable(NoticeReason.MISMATCH, "; ".join(changes))
    return pack


def _plain(value: str) -> int | str:
    """Read a value of metadata, where everything is text: a number as such, the rest in any letter case."""
    text = value.strip()
    return int(text) if text.isdecimal() else text.upper()


def _award_once(purchase: Purchase, pack: CreditPack, owner: models.Model) -> Fulfillment:
    using = router.db_for_write(Wallet, instance=owner)
    try:
        # A savepoint: the transaction around us stays usable when another wallet was awarded in between.
        with transaction.atomic(using=using):
            fulfillment = _award(purchase, pack, open_wallet(owner))
            resolve_notice(purchase.key, fulfillment)
    except IntegrityError:
        awarded = find_settled(purchase.key)
        if awarded is None:
            raise
        return awarded
    except UsageCreditsError as refusal:
        raise Unresolvable(NoticeReason.REFUSED, str(refusal)) from refusal
    return fulfillment


def _award(purchase: Purchase, pack: CreditPack, wallet: Wallet) -> Fulfillment:
    with posting(wallet) as post:
        awarded = find_fulfillment(purchase.key)
        if awarded is not None:
            return awarded
        fulfillment = _record(purchase, pack, post)
        row = _post(purchase, pack, post, fulfillment)
    if not row.replayed:
        announce(
            "credit_pack_purchased",
            post.wallet,
            amount=pack.total,
            transaction=row,
            fulfillment=fulfillment,
            metadata={
                "pack_name": pack.name,
                "pack": pack,
                "charge": purchase.charge,
                "price_cents": pack.price.amount,
            },
        )
    if RECHARGE_KEY in purchase.metadata:
        complete(purchase.metadata[RECHARGE_KEY], fulfillment)
    return fulfillment


def _record(purchase: Purchase, pack: CreditPack, post: Posting) -> Fulfillment:
    return Fulfillment.objects.using(post.wallet._state.db).create(
        wallet=post.wallet,
        kind=FulfillmentKind.PACK,
        source=SOURCE,
        source_id=purchase.key,
        pack_name=pack.name,
        as_sold=pack.base_metadata(),
        credits_last_awarded=pack.total,
        last_fulfilled_at=post.now,
        metadata={
            **pack.base_metadata(),
            **purchase.references,
            "purchased_at": (purchase.purchased_at or post.now).isoformat(),
            "credits_fulfilled": True,
            "fulfilled_at": post.now.isoformat(),
        },
    )


def _post(purchase: Purchase, pack: CreditPack, post: Posting, fulfillment: Fulfillment) -> Transaction:
    entry = credit_entry(
        pack.total,
        category=CREDIT_PACK_PURCHASE,
        metadata=fulfillment.metadata,
        idempotency_key=purchase.key,
        cash=Money(purchase.amount, purchase.currency),
        priority=pack.priority,
        scope=pack.scope,
        fulfillment=fulfillment,
    )
    return find_replay(post, entry) or post.credit(entry)

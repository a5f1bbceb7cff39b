"""Report what was issued and what became of it."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import models
from django.db.models import Q, Sum
from django.utils import timezone

from usage_credits.ledger.figures import (
    EXPIRED,
    ISSUED,
    REFUNDED,
    SPENT,
    TRANSFERRED,
    figures,
    wallets_to_report,
)
from usage_credits.models import Lot, Wallet
from usage_credits.twins import twin


@dataclass(frozen=True)
class LedgerStats:
    """Where credits came from and went, in whole credits.

    outstanding = issued - spent - expired - refunded + transferred, which is the sum of the signed balances.
    """

    issued: int
    """What was granted and sold, less what was reversed of it."""
    spent: int
    """What was charged, less what was reversed of it."""
    expired: int
    """What expired, booked or not, and what a plan's cap took."""
    refunded: int
    """What refunds and disputes took back, less what they gave back."""
    transferred: int
    """What came from other wallets less what went there: 0 for all, but while a reversed transfer is still claimed."""
    outstanding: int
    """What the wallets hold now, signed."""


def ledger_stats(
    *, asset: str | None = None, owner: models.Model | None = None, wallet: Wallet | None = None
) -> LedgerStats:
    """Return the figures of all wallets of `asset` (by default the default one), of an owner's wallet, or of a wallet.

    Two statements, summed up by the database; for all wallets they read the whole ledger. Raises InvalidValue.
    """
    wallets = wallets_to_report(owner=owner, wallet=wallet, asset=asset)
    kinds = {
        "issued": ISSUED,
        "spent": SPENT,
        "expired": EXPIRED,
        "refunded": REFUNDED,
        "transferred": TRANSFERRED,
    }
    sums = figures(wallets).aggregate(**{name: _sum(kind) for name, kind in kinds.items()})
    total = {name: sums[name] or 0 for name in kinds}
    lots = Lot.objects.using(wallets.db).expired(timezone.now()).filter(wallet__in=wallets)
    waiting = lots.aggregate(left=Sum("remaining"))["left"] or 0
    return LedgerStats(
        issued=total["issued"],
        spent=-total["spent"],
        expired=waiting - total["expired"],
        refunded=-total["refunded"],
        transferred=total["transferred"],
        outstanding=sum(total.values()) - waiting,
    )


aledger_stats = twin(ledger_stats)


def _sum(kind: Q) -> Sum:
    return Sum("amount", filter=kind)

"""Which rows a report reads, and what each counts as.

A reversal counts against what it undid: what is given back of a charge lowers what was spent, on the day, for the key
and the operation of that charge. So no report shows a charge that was undone, nor a reversal as new credits.
"""

from __future__ import annotations

import datetime
from typing import Any

from django.db import models, router
from django.db.models import Case, F, Q, QuerySet, When
from django.db.models.functions import Coalesce

from usage_credits import conf
from usage_credits.dsl.categories import (
    EXPIRATION,
    REFUNDS,
    ROLLOVER_EXCESS,
    TRANSFER_IN,
    TRANSFER_OUT,
)
from usage_credits.dsl.wallet_options import clean_asset
from usage_credits.exceptions import InvalidValue
from usage_credits.ledger.wallets import asset_of, wallets_of
from usage_credits.models import Transaction, Wallet
from usage_credits.values import check_moment

TRANSFERS = (TRANSFER_IN, TRANSFER_OUT)
EXPIRIES = (EXPIRATION, ROLLOVER_EXCESS)
"""What ends credits that nobody spent: their date, or a plan's cap on what it keeps."""

_OTHERS = Q(root_category__in=(*TRANSFERS, *EXPIRIES, *REFUNDS))

TRANSFERRED, EXPIRED, REFUNDED = (Q(root_category__in=group) for group in (TRANSFERS, EXPIRIES, REFUNDS))
ISSUED = Q(root_amount__gt=0) & ~_OTHERS
SPENT = Q(root_amount__lt=0) & ~_OTHERS
"""Each row of `figures` is of exactly one of these five."""

SKEW = datetime.timedelta(days=1)
"""By how much the clocks of those who post to a wallet differ at most."""


def wallets_to_report(
    *, owner: models.Model | None = None, wallet: Wallet | None = None, asset: str | None = None
) -> QuerySet[Wallet]:
    """Return one wallet, an owner's wallet of `asset`, or all wallets of it; by default the default asset.

    Raises InvalidValue for an owner and a wallet at once, and for an asset besides a wallet.
    """
    if wallet is not None:
        if owner is not None or asset is not None:
            raise InvalidValue("wallet", "a wallet has its owner and its asset: give nothing else with it.")
        return Wallet.objects.using(router.db_for_read(Wallet, instance=wallet)).filter(pk=wallet.pk)
    if owner is not None:
        using = router.db_for_read(Wallet, instance=owner)
        return wallets_of(owner, using).filter(asset=asset_of(owner, asset))
    asset = clean_asset(conf.current().default_asset if asset is None else asset)
    return Wallet.objects.using(router.db_for_read(Wallet)).filter(asset=asset)


def figures(wallets: QuerySet[Wallet]) -> QuerySet[Transaction]:
    """Return the wallets' rows, each with what it says, or else what the row says that it undoes.

    That is its category, amount, key, operation, model, member, currency of the provider's cost, and moment.
    """
    rows = Transaction.objects.using(wallets.db).filter(wallet__in=wallets)
    return rows.annotate(
        root_category=Coalesce("reverses__category", "category"),
        root_amount=Coalesce("reverses__amount", "amount"),
        root_key=_root("attributed_to"),
        root_operation=_root("operation"),
        root_model=_root("model"),
        root_member=_root("member"),
        root_currency=_root("provider_currency"),
        root_created_at=Coalesce("reverses__created_at", "created_at"),
    )


def _root(column: str) -> Case:
    """Return the column of what a row undoes, null as it may be, or else its own."""
    return Case(When(reverses__isnull=False, then=F(f"reverses__{column}")), default=F(column))


def spent_between(since: object, until: object) -> Q:
    """Return the condition that a row of `figures` counts as spent, from `since` on and before `until`.

    A reversal counts on the day of what it undoes, which came before it. So no row before `since` counts, and that,
    unlike the moment of what a row undoes, is what the index on the rows' own moments can tell. A day is allowed for
    clocks that disagree.
    """
    begin = check_moment(since, "since")
    possible = Q() if begin is None else Q(created_at__gte=begin - SKEW)
    return SPENT & possible & between(since, until)


def between(since: object, until: object, column: str = "root_created_at") -> Q:
    """Return the condition of a moment from `since` on and before `until`; None leaves that side open.

    Takes aware datetimes, and dates as midnight UTC; raises InvalidValue.
    """
    bounds: dict[str, tuple[str, datetime.datetime | None]] = {
        "gte": ("since", check_moment(since, "since")),
        "lt": ("until", check_moment(until, "until")),
    }
    conditions: dict[str, Any] = {
        f"{column}__{lookup}": moment for lookup, (_, moment) in bounds.items() if moment is not None
    }
    return Q(**conditions)

"""Read balances: one statement each, no lock, nothing written."""

from __future__ import annotations

import datetime
from typing import Any

from django.db import router
from django.db.models import BigIntegerField, F, FilteredRelation, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce
from django.utils import timezone

from usage_credits.dsl.categories import EXPIRATION
from usage_credits.exceptions import WalletNotFound
from usage_credits.models import Allocation, Lot, Transaction, Wallet
from usage_credits.models.lot import in_scope
from usage_credits.values import check_moment, check_operation


def signed_balance(moment: datetime.datetime) -> Any:
    """Return the expression of a wallet's signed balance at `moment`, a present or future one.

    What holds keep counts until they are captured or released, also of lots that have expired meanwhile (DEC-02).
    """
    expired = Lot.objects.expired(moment).filter(wallet=OuterRef("pk")).order_by().values("wallet")
    return F("booked_balance") - _total(expired.values(total=Sum("remaining")))


def with_balances(wallets: QuerySet[Wallet]) -> QuerySet[Wallet]:
    """Annotate each wallet with `balance_now`, its signed balance now, in the same statement."""
    return wallets.annotate(balance_now=signed_balance(timezone.now()))


def balance_and_held(wallet: Wallet) -> tuple[int, int]:
    """Return (signed balance, held) as they are in the database now. Raises WalletNotFound."""
    wallets = Wallet.objects.using(router.db_for_read(Wallet, instance=wallet)).filter(pk=wallet.pk)
    found = wallets.values_list(signed_balance(timezone.now()), "booked_held").first()
    if found is None:
        raise WalletNotFound(f"There is no wallet {wallet.pk}.")
    balance, held = found
    return balance, held


def available_for(wallet: Wallet, operation: object = None) -> int:
    """Return what a debit for `operation` (its name) can take now, never negative; None: one that charges none.

    Less than `available` by what only other operations may spend. One statement. Raises InvalidValue for what is no
    name, WalletNotFound.
    """
    name = None if operation is None else check_operation(operation)
    wallets = Wallet.objects.using(router.db_for_read(Wallet, instance=wallet)).filter(pk=wallet.pk)
    available = available_for_in(wallets, name)
    if available is None:
        raise WalletNotFound(f"There is no wallet {wallet.pk}.")
    return available


def available_for_in(wallets: QuerySet[Wallet], operation: str | None) -> int | None:
    """Return what the only wallet of `wallets` can spend on `operation`, None where there is none. One statement."""
    is_current = Q(lots__expires_at__isnull=True) | Q(lots__expires_at__gt=timezone.now())
    stocked = wallets.annotate(open=FilteredRelation("lots", condition=Q(lots__is_open=True) & is_current))
    found = stocked.order_by().values_list("debt", "open__scope").annotate(left=Sum("open__remaining"))
    rows = [(debt, scope, left or 0) for debt, scope, left in found]
    if not rows:
        return None
    stock = sum(left for _debt, _scope, left in rows)
    payable = sum(left for _debt, scope, left in rows if in_scope(scope, operation))
    debt: int = rows[0][0]
    return max(min(payable, stock - debt), 0)


def available_in(wallets: QuerySet[Wallet]) -> int | None:
    """Return what the only wallet of `wallets` can spend now, None where there is none. One statement."""
    found = wallets.values_list(signed_balance(timezone.now()), "booked_held").first()
    return None if found is None else max(found[0] - found[1], 0)


def balance_at(wallet: Wallet, moment: datetime.datetime) -> int:
    """Return the signed balance at `moment` (aware): in the past as it was, in the future as time alone leaves it.

    One statement, which reads what was posted since `moment`. Raises InvalidValue for a naive datetime.
    """
    moment = check_moment(moment, "moment") or timezone.now()
    using = router.db_for_read(Wallet, instance=wallet)
    wallets = Wallet.objects.using(using).filter(pk=wallet.pk)
    if moment >= timezone.now():
        return _one(wallets, signed_balance(moment))
    rows = Transaction.objects.filter(wallet=OuterRef("pk"), created_at__lte=moment)
    last = Coalesce(
        Subquery(rows.newest_first().values("balance_after")[:1]), 0, output_field=BigIntegerField()
    )
    # What had expired by then without being booked was booked later or waits still: nothing else takes of an expired
    # lot, but holds, for which it had not expired.
    waiting = Lot.objects.expired(moment).filter(wallet=OuterRef("pk"), transaction__created_at__lte=moment)
    booked = Allocation.objects.filter(
        debit__wallet=OuterRef("pk"),
        debit__created_at__gt=moment,
        debit__category=EXPIRATION,
        debit__hold=None,
        lot__expires_at__lte=moment,
        lot__transaction__created_at__lte=moment,
    )
    expired = _total(waiting.order_by().values("wallet").values(total=Sum("remaining"))) + _total(
        booked.order_by().values("debit__wallet").values(total=Sum("amount"))
    )
    return _one(wallets, last - expired)


def _one(wallets: QuerySet[Wallet], expression: Any) -> int:
    balance: int = wallets.values_list(expression, flat=True).get()
    return balance


def _total(query: Any) -> Any:
    return Coalesce(Subquery(query, output_field=BigIntegerField()), 0, output_field=BigIntegerField())

"""Work out what a debit would do: reads only, no lock."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from django.db import connections, router
from django.utils import timezone

from usage_credits import conf
from usage_credits.dsl.categories import CREDIT_DEDUCTED
from usage_credits.exceptions import InsufficientCredits, UsageCreditsError, WalletNotFound
from usage_credits.ledger.debits import debit_entry
from usage_credits.ledger.entries import DebitEntry
from usage_credits.ledger.journal import draft
from usage_credits.ledger.keys import check_key
from usage_credits.models import Lot, Wallet


@dataclass(frozen=True)
class LotShare:
    """What one lot (its primary key) would pay of a debit, what it would keep, and when that expires."""

    lot: int
    amount: int
    left: int
    expires_at: datetime.datetime | None


@dataclass(frozen=True)
class Expiring:
    """Credits that expire together."""

    amount: int
    expires_at: datetime.datetime


@dataclass(frozen=True)
class DryRun:
    """What a debit of `price` would do now.

    `lots` says which lots would pay how much, in that order; `left` what could then be spent on the same operation,
    below zero where the wallet owes more than it holds; `expires_next` what of that expires first. `refused` is the
    error that would be raised, or None; then no lot pays, and `left` is what can be spent on the operation now.
    """

    price: int
    lots: tuple[LotShare, ...]
    left: int
    expires_next: Expiring | None = None
    refused: UsageCreditsError | None = None


def plan_debit(
    wallet: Wallet, amount: int, *, operation: str | None = None, attributed_to: str | None = None
) -> DryRun:
    """Return what a debit of `amount` credits (int, 1 to 2**63 - 1) would do now; nothing is written or announced.

    `operation` and `attributed_to` are those of `wallet.debit`. Works as the debit does, without its lock: two
    statements, one more where holds keep something, one more for the caps of `attributed_to` where there are any.
    Raises InvalidValue (InvalidAmount for the amount), and WalletNotFound where the wallet's row is gone.
    """
    entry = debit_entry(amount, operation=operation, attributed_to=attributed_to)
    found = Wallet.objects.using(router.db_for_read(Wallet, instance=wallet)).filter(pk=wallet.pk).first()
    if found is None:
        raise WalletNotFound(f"There is no wallet {wallet.pk}.")
    return dry_run(found, entry.amount, entry.operation, entry.attributed_to)


def dry_run(wallet: Wallet, price: int, operation: str | None, attributed_to: str | None) -> DryRun:
    """Return what a debit of `price`, which may be 0, would do to a wallet that was read a moment ago.

    Raises InvalidValue for what cannot be a key.
    """
    key = check_key(attributed_to, "attributed_to")
    # The very posting that a debit would be; it is written by nobody.
    with connections[wallet._state.db or router.db_for_read(Wallet)].cursor() as cursor:
        post = draft(wallet, timezone.now(), takes=True, cursor=cursor)
        post.book_expired()
    refused: UsageCreditsError | None = None
    shares: tuple[LotShare, ...] = ()
    if price:
        entry = DebitEntry(price, CREDIT_DEDUCTED, operation=operation, attributed_to=key)
        try:
            row = post.debit(entry, allow_negative=conf.current().allow_negative_balance)
        except UsageCreditsError as error:
            refused = error.with_traceback(None)
        else:
            paid = [allocation for allocation in post.allocations if allocation.debit is row]
            shares = tuple(
                LotShare(part.lot_id, part.amount, part.lot.remaining, part.lot.expires_at) for part in paid
            )
    payers = post.payers(operation)
    return DryRun(price, shares, post.left_in(payers), _expires_next(payers), refused)


def dry_run_without_wallet(initial_balance: int, price: int, attributed_to: str | None) -> DryRun:
    """Return what a debit would do where the wallet is created by it and starts with `initial_balance`.

    Raises InvalidValue for what cannot be a key; one that can has no caps yet.
    """
    check_key(attributed_to, "attributed_to")
    if price <= initial_balance or conf.current().allow_negative_balance:
        return DryRun(price, (), initial_balance - price)
    refused = InsufficientCredits(initial_balance, price)
    return DryRun(price, (), initial_balance, refused=refused)


def _expires_next(lots: list[Lot]) -> Expiring | None:
    left = [(lot.expires_at, lot.remaining) for lot in lots if lot.expires_at is not None]
    if not left:
        return None
    soonest = min(expires_at for expires_at, _ in left)
    return Expiring(sum(amount for expires_at, amount in left if expires_at == soonest), soonest)

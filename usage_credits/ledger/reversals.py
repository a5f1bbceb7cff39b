"""Reverse what was posted: by rows of their own, each row once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet, Sum

from usage_credits.dsl.categories import EXPIRATION, REFUNDS, REVERSAL
from usage_credits.exceptions import InvalidValue
from usage_credits.ledger.entries import DebitEntry
from usage_credits.ledger.journal import posting, postings
from usage_credits.ledger.posting import Posting
from usage_credits.ledger.returns import Returned, Undone, give_back, undone_of, use_left_of
from usage_credits.models import Allocation, Debt, Transaction, Transfer
from usage_credits.values import check_text

IRREVERSIBLE = {
    EXPIRATION: "what expired is gone",
    REVERSAL: "a reversal stays; post the row again instead",
    **dict.fromkeys(REFUNDS, "refunds follow their payment"),
}


def reverse(row: Transaction, *, reason: str | None = None) -> list[Transaction]:
    """Undo `row` by rows of category `reversal` that link to it, and return them.

    A debit is given back: one credit for each distinct expiry, priority and scope of the lots that paid it, each with
    a new lot; what has expired by now expires at once, and what it still owes lowers the wallet's debt. Of a credit,
    what is left of its lot is taken back; what was spent of it becomes a claim, which the wallet's next credits pay.

    A row is reversed once: a repeat returns what there is of the first reversal, each row with `replayed` set. Of a
    charge that `record_usage` has corrected, what is left is given back.
    `reason` (text) is kept in the metadata. Locks the wallet's row; commits with the caller's transaction, or by
    itself. Raises InvalidValue for expirations, reversals, refunds and the legs of a transfer.
    """
    facts = _facts(reason)
    _check_reversible(row)
    with posting(row.wallet, takes=row.amount > 0) as post:
        using = post.wallet._state.db
        undone = undone_of([row], using)[row.pk]
        is_whole = undone.amount == -row.amount if row.amount < 0 else bool(undone.amount)
        if is_whole or Debt.objects.using(using).filter(reverses=row).exists():
            return _first_reversal([row], using)
        if row.amount > 0:
            return _take_back(post, [row], facts)
        return _give_back(post, row, undone, facts)


def reverse_transfer(transfer: Transfer, *, reason: str | None = None) -> list[Transaction]:
    """Undo both sides of a transfer and return the rows, the receiver's first.

    The receiver loses what is left of the lots that arrived, and owes what was spent of them as claims; the sender
    gets back what was sent, as the lots that paid it were. Locks both wallets' rows in key order. Otherwise as
    `reverse`.
    """
    facts = {**_facts(reason), "transfer_id": transfer.pk}
    with postings([transfer.to_wallet, transfer.from_wallet], taking=1) as [receiver, sender]:
        # Of the locked wallets' database: what is reversed may have been read from a replica.
        using = receiver.wallet._state.db
        legs = list(transfer.transactions.using(using).oldest_first())
        if _was_reversed(legs, using):
            return _first_reversal(legs, using)
        arrived = [leg for leg in legs if leg.amount > 0]
        sent = [leg for leg in legs if leg.amount < 0]
        taken = _take_back(receiver, arrived, facts)
        return taken + [row for leg in sent for row in _give_back(sender, leg, Undone(), facts)]


def _facts(reason: str | None) -> dict[str, Any]:
    return {} if reason is None else {"reason": check_text(reason, "reason")}


def _check_reversible(row: Transaction) -> None:
    if row.pk is None:
        raise InvalidValue("transaction", "it is not posted yet.")
    if row.transfer_id is not None:
        raise InvalidValue("transaction", "it is one side of a transfer; reverse the transfer.")
    if row.category in IRREVERSIBLE:
        raise InvalidValue("transaction", f"{row.category} cannot be reversed: {IRREVERSIBLE[row.category]}.")


def _was_reversed(rows: Sequence[Transaction], using: str | None) -> bool:
    return any(
        found.using(using).filter(reverses__in=rows).exists() for found in (Transaction.objects, Debt.objects)
    )


def _first_reversal(rows: Sequence[Transaction], using: str | None) -> list[Transaction]:
    undoing = Transaction.objects.using(using).filter(reverses__in=rows, idempotency_key=None)
    found = list(undoing.oldest_first())
    for row in found:
        row.replayed = True
    return found


def _give_back(post: Posting, debit: Transaction, undone: Undone, facts: dict[str, Any]) -> list[Transaction]:
    left = Returned(debit, -debit.amount - undone.amount, undone.amount)
    return give_back(post, [left], metadata=_metadata(debit, facts), use=use_left_of(debit, undone))


def _take_back(post: Posting, credits: Sequence[Transaction], facts: dict[str, Any]) -> list[Transaction]:
    """Append the debits that undo credits, each paid by its own lot, and leave claims for what was spent of them."""
    left = {lot.transaction_id: lot.remaining for lot in post.lots}
    gone = _gone(post, credits)
    rows = []
    for credit in credits:
        limit = credit.amount - gone[credit.pk]
        if credit.fulfillment_id is not None:
            limit = min(limit, _kept_of_payment(credit, post.wallet._state.db))
        taken = min(left.get(credit.pk, 0), limit, post.available_in(post.lots))
        metadata = _metadata(credit, facts)
        if taken:
            entry = DebitEntry(taken, REVERSAL, metadata, reverses=credit, pays_first=frozenset([credit.pk]))
            rows.append(post.debit(entry, allow_negative=False))
        if limit > taken:
            post.claims.leave_for(credit, limit - taken, metadata)
    return rows


def _gone(post: Posting, credits: Sequence[Transaction]) -> defaultdict[int, int]:
    """Return what of each credit expired, also in this posting, or was taken by the payment that awarded it."""
    paid = Allocation.objects.using(post.wallet._state.db).filter(lot__transaction__in=credits)
    gone: defaultdict[int, int] = defaultdict(int)
    for amount, category, takes_for, awarded_for, credit_id in paid.values_list(
        "amount", "debit__category", "debit__fulfillment", "lot__transaction__fulfillment", "lot__transaction"
    ):
        if category == EXPIRATION or (awarded_for and takes_for == awarded_for):
            gone[credit_id] += amount
    for allocation in post.allocations:
        if allocation.debit.category == EXPIRATION:
            gone[allocation.lot.transaction_id] += allocation.amount
    return gone


def _kept_of_payment(award: Transaction, using: str | None) -> int:
    """Return what its payment awarded in all, less what was taken, claimed or reversed of that before."""
    rows = Transaction.objects.using(using)
    debts = Debt.objects.using(using)
    payment = award.fulfillment_id
    moved = rows.filter(fulfillment=payment), rows.filter(reverses__fulfillment=payment, amount__lt=0)
    claimed = debts.filter(fulfillment=payment), debts.filter(reverses__fulfillment=payment)
    kept = sum(_total(found, "amount") for found in moved) - sum(
        _total(found, "open_amount") for found in claimed
    )
    return max(kept, 0)


def _total(rows: QuerySet[Any], column: str) -> int:
    return rows.aggregate(total=Sum(column))["total"] or 0


def _metadata(row: Transaction, facts: dict[str, Any]) -> dict[str, Any]:
    return {**facts, "reversed_transaction_id": row.pk, "reversed_category": row.category}

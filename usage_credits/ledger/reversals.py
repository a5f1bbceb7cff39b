"""Reverse what was posted: by rows of their own, each row once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet, Sum

from usage_credits.dsl.categories import EXPIRATION, REFUNDS, REVERSAL
from usage_credits.exceptions import InvalidValue
from usage_credits.ledger.entries import DebitEntry
from usage_credits.ledger.journal import posting, postings
from usage_credits.ledger.posting import Posting
from usage_credits.ledger.returns import Returned, Undone, give_back, undone_of, use_left_of
from usage_credits.models import Allocation, Debt, Transaction, Transfer
from usage_credits.values import check_metadata, check_text

IRREVERSIBLE = {
    EXPIRATION: "what expired is gone",
    REVERSAL: "a reversal stays; post the row again instead",
    **dict.fromkeys(REFUNDS, "refunds follow their payment"),
}


@dataclass(frozen=True)
class Reversal:
    """What undoes something: its rows, and the claims on what was spent of the credits that it takes back.

    `replayed` tells that it was posted before, and nothing by this call.
    """

    rows: list[Transaction]
    claims: list[Debt]
    replayed: bool = False

    @property
    def metadata(self) -> dict[str, Any]:
        """Return what is kept with it: the reason and whatever else was given."""
        parts: list[Transaction | Debt] = [*self.rows, *self.claims]
        return parts[0].metadata if parts else {}


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
    return post_reversal(row, reason=reason).rows


def reverse_transfer(transfer: Transfer, *, reason: str | None = None) -> list[Transaction]:
    """Undo both sides of a transfer and return the rows, the receiver's first.

    The receiver loses what is left of the lots that arrived, and owes what was spent of them as claims; the sender
    gets back what was sent, as the lots that paid it were. Locks both wallets' rows in key order. Otherwise as
    `reverse`.
    """
    return post_transfer_reversal(transfer, reason=reason).rows


def post_reversal(
    row: Transaction, *, reason: str | None = None, metadata: Mapping[str, Any] | None = None
) -> Reversal:
    """Reverse a row as `reverse` does, with metadata of the caller's, and return all that came of it."""
    facts = _facts(reason, metadata)
    _check_reversible(row)
    with posting(row.wallet, takes=row.amount > 0) as post:
        using = post.wallet._state.db
        undone = undone_of([row], using)[row.pk]
        claims = _claims_of([row], using)
        if claims or _is_whole(row, undone):
            return Reversal(_first_rows([row], using), claims, replayed=True)
        if row.amount > 0:
            return Reversal(_take_back(post, [row], facts), post.claims.new)
        return Reversal(_give_back(post, row, undone, facts), [])


def post_transfer_reversal(
    transfer: Transfer, *, reason: str | None = None, metadata: Mapping[str, Any] | None = None
) -> Reversal:
    """Reverse a transfer as `reverse_transfer` does, with metadata of the caller's, and return all that came of it."""
    facts = {**_facts(reason, metadata), "transfer_id": transfer.pk}
    with postings([transfer.to_wallet, transfer.from_wallet], taking=1) as [receiver, sender]:
        # Of the locked wallets' database: what is reversed may have been read from a replica.
        using = receiver.wallet._state.db
        legs = list(transfer.transactions.using(using).oldest_first())
        first, claims = _first_rows(legs, using), _claims_of(legs, using)
        if first or claims:
            return Reversal(first, claims, replayed=True)
        arrived = [leg for leg in legs if leg.amount > 0]
        sent = [leg for leg in legs if leg.amount < 0]
        rows = _take_back(receiver, arrived, facts)
        rows += [row for leg in sent for row in _give_back(sender, leg, Undone(), facts)]
        return Reversal(rows, receiver.claims.new)


def reversed_among(rows: Collection[Transaction]) -> set[int]:
    """Return the primary keys of those rows, of one database, that were reversed, by themselves or by their transfer.

    Three statements at most, no lock.
    """
    if not rows:
        return set()
    using = next(iter(rows))._state.db
    undone = undone_of(list(rows), using)
    claimed = {claim.reverses_id for claim in _claims_of(rows, using)}
    moved = {row.transfer_id for row in rows} - {None}
    undoing = Transaction.objects.using(using).filter(reverses__transfer__in=moved)
    transfers = set(undoing.values_list("reverses__transfer", flat=True)) if moved else set()
    return {
        row.pk
        for row in rows
        if row.pk in claimed or row.transfer_id in transfers or _is_whole(row, undone[row.pk])
    }


def _facts(reason: str | None, metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    facts = check_metadata(metadata)
    return facts if reason is None else {**facts, "reason": check_text(reason, "reason")}


def _check_reversible(row: Transaction) -> None:
    if row.pk is None:
        raise InvalidValue("transaction", "it is not posted yet.")
    if row.transfer_id is not None:
        raise InvalidValue("transaction", "it is one side of a transfer; reverse the transfer.")
    if row.category in IRREVERSIBLE:
        raise InvalidValue("transaction", f"{row.category} cannot be reversed: {IRREVERSIBLE[row.category]}.")


def _is_whole(row: Transaction, undone: Undone) -> bool:
    """Tell whether rows undo all that can be undone of a row: of a debit they may have returned only a part."""
    return undone.amount == -row.amount if row.amount < 0 else bool(undone.amount)


def _claims_of(rows: Collection[Transaction], using: str | None) -> list[Debt]:
    return list(Debt.objects.using(using).filter(reverses__in=rows).order_by("pk"))


def _first_rows(rows: Sequence[Transaction], using: str | None) -> list[Transaction]:
    """Return the rows that reversed these before, marked as replayed."""
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

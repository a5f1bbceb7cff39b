"""Count and add up stored rows, without the queries of `verify_credits`."""

from __future__ import annotations

from collections import defaultdict

from usage_credits.models import Allocation, HeldLot, Hold, Lot, Transaction, Transfer, Wallet


def count_rows() -> list[int]:
    return [kind.objects.count() for kind in (Transaction, Hold, Transfer)]


def check_rows(debt: int) -> None:
    """Add up all rows in plain Python: INV-1, INV-2, INV-3, INV-6 and INV-8; `debt` is what all wallets owe."""
    balances: defaultdict[int, int] = defaultdict(int)
    moved: defaultdict[int, int] = defaultdict(int)
    keys = []
    for row in Transaction.objects.order_by("pk"):
        assert row.balance_before == balances[row.wallet_id]
        balances[row.wallet_id] += row.amount
        assert row.balance_after == balances[row.wallet_id]
        if row.transfer_id:
            moved[row.transfer_id] += row.amount
        if row.idempotency_key:
            keys.append((row.wallet_id, row.idempotency_key))
    assert len(keys) == len(set(keys))
    assert set(moved.values()) <= {0}
    assert all(wallet.booked_balance == balances[wallet.pk] for wallet in Wallet.objects.all())
    paid: defaultdict[int, int] = defaultdict(int)
    used: defaultdict[int, int] = defaultdict(int)
    for debit, lot, amount in Allocation.objects.values_list("debit", "lot", "amount"):
        paid[debit] += amount
        used[lot] += amount
    for lot, amount in HeldLot.objects.values_list("lot", "amount"):
        used[lot] += amount
    debits = dict(Transaction.objects.debits().values_list("pk", "amount"))
    assert -sum(debits.values()) - sum(paid.values()) == debt
    assert all(paid[pk] <= -amount for pk, amount in debits.items())
    assert all(lot.amount == used[lot.pk] + lot.remaining for lot in Lot.objects.all())

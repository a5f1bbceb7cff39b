from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest
import time_machine
from django.db import connection

from tests.factories import add_lots, configured, days, make_wallet
from usage_credits.ledger import verification
from usage_credits.ledger.invariants import CHECKS
from usage_credits.ledger.verification import Finding, verify
from usage_credits.models import Debt, Fulfillment, Hold, KeyAlias, Lot, Recharge, Transaction, Wallet

START = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)


@contextmanager
def unguarded() -> Iterator[Callable[[str], None]]:
    """Yield what runs SQL past triggers and check constraints, as damage from outside the app would."""
    switches = {
        "postgresql": ("SET session_replication_role = replica", "SET session_replication_role = origin"),
        "mysql": ("SET check_constraint_checks = 0", "SET check_constraint_checks = 1"),
        "sqlite": ("PRAGMA ignore_check_constraints = ON", "PRAGMA ignore_check_constraints = OFF"),
    }
    off, on = switches[connection.vendor]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(off)
        try:
            yield cursor.execute
        finally:
            cursor.execute(on)


def recharged(world: World, fulfillment: Fulfillment) -> Recharge:
    return Recharge.objects.create(
        wallet=world.wallet,
        key="k",
        state="succeeded",
        pack_name="starter",
        credits=50,
        amount=4_900,
        currency="usd",
        payment="pi:0",
        fulfillment=fulfillment,
    )


class World(NamedTuple):
    """A sound ledger with something of everything, in which each fault below is planted."""

    wallet: Wallet
    other: Wallet
    credit: Transaction
    debit: Transaction
    overdrawn: Transaction
    sold: Fulfillment
    charge: Transaction
    held: Hold
    run: Callable[[str], None]


@pytest.fixture
def world() -> Iterator[World]:
    with time_machine.travel(START, tick=False):
        wallet, other = make_wallet(), make_wallet(10)
        credit = wallet.credit(100, expires_at=START + days(5), idempotency_key="k1")
        debit = wallet.debit(30, idempotency_key="k2")
        sold = Fulfillment.objects.create(
            wallet=wallet, kind="credit_pack", source="stripe", source_id="cs_1"
        )
        wallet.credit(50, category="credit_pack_purchase", fulfillment=sold)
        wallet.debit(20, category="credit_pack_refund", fulfillment=sold)
        with configured(ALLOW_NEGATIVE_BALANCE=True):
            overdrawn = other.debit(25)
        scoped = make_wallet()
        scoped.credit(20, scope=["mail", "report"])
        charge, held = scoped.debit(5, operation="report"), scoped.hold(5, operation="mail")
        assert list(verify()) == []
        with unguarded() as run:
            if connection.vendor == "postgresql":
                # It switches triggers off, not checks; the test's rollback brings them back.
                run(
                    "ALTER TABLE usage_credits_transaction DROP CONSTRAINT usage_credits_after_is_before_plus"
                )
                run("ALTER TABLE usage_credits_lot DROP CONSTRAINT usage_credits_open_while_remaining")
            yield World(wallet, other, credit, debit, overdrawn, sold, charge, held, run)


def capped(world: World) -> Transaction:
    """Give a key a cap and let it spend 5."""
    world.wallet.set_cap("key", 10, every="day")
    return world.wallet.debit(5, attributed_to="key")


class Fault(NamedTuple):
    invariant: str
    table: str
    problem: str
    plant: Callable[[World], Any]


FAULTS = {
    "booked balance": Fault(
        "INV-1",
        "wallet",
        "the transactions add up to",
        lambda w: w.run(f"UPDATE usage_credits_wallet SET balance = balance + 1 WHERE id = {w.wallet.pk}"),
    ),
    "held out of nothing": Fault(
        "INV-1",
        "wallet",
        "lots and holds less debt are",
        lambda w: w.run(f"UPDATE usage_credits_wallet SET held = held + 1 WHERE id = {w.wallet.pk}"),
    ),
    "debt out of nothing": Fault(
        "INV-1",
        "wallet",
        "lots and holds less debt are",
        lambda w: w.run(f"UPDATE usage_credits_wallet SET debt = debt + 1 WHERE id = {w.wallet.pk}"),
    ),
    "award out of nothing": Fault(
        "INV-9",
        "wallet",
        "the last award was",
        lambda w: w.run(f"UPDATE usage_credits_wallet SET last_award = 5 WHERE id = {w.wallet.pk}"),
    ),
    "gap in the chain": Fault(
        "INV-2",
        "transaction",
        "the row before it left",
        lambda w: w.run(
            "UPDATE usage_credits_transaction SET balance_before = balance_before + 1, "
            f"balance_after = balance_after + 1 WHERE id = {w.debit.pk}"
        ),
    ),
    "first row starts above zero": Fault(
        "INV-2",
        "transaction",
        "the row before it left",
        lambda w: w.run(
            "UPDATE usage_credits_transaction SET balance_before = 1, balance_after = 101 "
            f"WHERE id = {w.credit.pk}"
        ),
    ),
    "deleted row": Fault(
        "INV-2",
        "transaction",
        "the row before it left",
        lambda w: w.run(
            f"UPDATE usage_credits_transaction SET wallet_id = {w.other.pk} WHERE id = {w.debit.pk}"
        ),
    ),
    "after is not before plus amount": Fault(
        "INV-2",
        "transaction",
        "do not give",
        lambda w: w.run(f"UPDATE usage_credits_transaction SET amount = -31 WHERE id = {w.debit.pk}"),
    ),
    "debit paid too little": Fault(
        "INV-3",
        "transaction",
        "is paid by allocations of",
        lambda w: w.run(f"UPDATE usage_credits_allocation SET amount = 29 WHERE debit_id = {w.debit.pk}"),
    ),
    "debit without its allocations": Fault(
        "INV-3",
        "transaction",
        "is paid by allocations of",
        lambda w: w.run(f"DELETE FROM usage_credits_allocation WHERE debit_id = {w.debit.pk}"),
    ),
    "lot refilled": Fault(
        "INV-3",
        "lot",
        "there are {1} allocated",
        lambda w: w.run(f"UPDATE usage_credits_lot SET remaining = 80 WHERE transaction_id = {w.credit.pk}"),
    ),
    "lot that outlives its row": Fault(
        "INV-3",
        "transaction",
        "or their wallets, expiries or open flags differ",
        lambda w: w.run(
            f"UPDATE usage_credits_lot SET expires_at = NULL WHERE transaction_id = {w.credit.pk}"
        ),
    ),
    "lot in another wallet": Fault(
        "INV-3",
        "transaction",
        "or their wallets, expiries or open flags differ",
        lambda w: w.run(
            f"UPDATE usage_credits_lot SET wallet_id = {w.other.pk} WHERE transaction_id = {w.credit.pk}"
        ),
    ),
    "lot closed too early": Fault(
        "INV-3",
        "transaction",
        "or their wallets, expiries or open flags differ",
        lambda w: Lot.objects.filter(transaction=w.credit).update(is_open=False),
    ),
    "held that no hold keeps": Fault(
        "INV-3",
        "wallet",
        "open holds keep",
        lambda w: w.run(f"UPDATE usage_credits_wallet SET held = held + 1 WHERE id = {w.wallet.pk}"),
    ),
    "captured that no row charges": Fault(
        "INV-3",
        "hold",
        "its rows charge",
        lambda w: w.run(
            f"UPDATE usage_credits_hold SET captured = 1, amount = 6 WHERE id = {w.wallet.hold(5).pk}"
        ),
    ),
    "hold that keeps too little": Fault(
        "INV-3",
        "hold",
        "its rows charge",
        lambda w: w.run(f"UPDATE usage_credits_heldlot SET amount = 4 WHERE hold_id = {w.wallet.hold(5).pk}"),
    ),
    "closed hold that still keeps something": Fault(
        "INV-3",
        "hold",
        "its rows charge",
        lambda w: w.run(
            f"UPDATE usage_credits_hold SET is_open = NOT is_open WHERE id = {w.wallet.hold(5).pk}"
        ),
    ),
    "open hold that keeps nothing": Fault(
        "INV-3",
        "hold",
        "its rows charge",
        lambda w: w.run(
            f"UPDATE usage_credits_hold SET is_open = NOT is_open WHERE id = {w.wallet.hold(5).capture().hold_id}"
        ),
    ),
    "hold on another wallet's lot": Fault(
        "INV-3",
        "hold",
        "its rows charge",
        lambda w: w.run(
            f"UPDATE usage_credits_hold SET wallet_id = {w.other.pk} WHERE id = {w.wallet.hold(5).pk}"
        ),
    ),
    "capture of another wallet's hold": Fault(
        "INV-3",
        "hold",
        "its rows charge",
        lambda w: w.run(
            f"UPDATE usage_credits_hold SET wallet_id = {w.other.pk} "
            f"WHERE id = {w.wallet.hold(5).capture().hold_id}"
        ),
    ),
    "hold placed after the lot's expiry": Fault(
        "INV-4",
        "allocation",
        "which had expired by then",
        lambda w: w.run(
            "UPDATE usage_credits_hold SET created_at = '2026-01-06 12:00:01' "
            f"WHERE id = {w.wallet.hold(5).capture().hold_id}"
        ),
    ),
    "debit after the lot's expiry": Fault(
        "INV-4",
        "allocation",
        "which had expired by then",
        lambda w: w.run(
            f"UPDATE usage_credits_transaction SET created_at = '2026-01-06 12:00:00' WHERE id = {w.debit.pk}"
        ),
    ),
    "expiry booked too early": Fault(
        "INV-4",
        "allocation",
        "which had not expired by then",
        lambda w: w.run(
            f"UPDATE usage_credits_transaction SET category = 'expiration' WHERE id = {w.debit.pk}"
        ),
    ),
    "allocation between wallets": Fault(
        "INV-4",
        "allocation",
        "or its debit is no debit",
        lambda w: w.run(
            f"UPDATE usage_credits_allocation SET wallet_id = {w.other.pk} WHERE debit_id = {w.debit.pk}"
        ),
    ),
    "charge of what the lot is not for": Fault(
        "INV-4",
        "allocation",
        "which is not in the lot's scope",
        lambda w: w.run(f"UPDATE usage_credits_transaction SET operation = 'repor' WHERE id = {w.charge.pk}"),
    ),
    "debit of no operation from a lot with a scope": Fault(
        "INV-4",
        "allocation",
        "which is not in the lot's scope",
        lambda w: w.run(f"UPDATE usage_credits_transaction SET operation = NULL WHERE id = {w.charge.pk}"),
    ),
    "scope of other letters": Fault(
        "INV-4",
        "allocation",
        "which is not in the lot's scope",
        lambda w: w.run("UPDATE usage_credits_lot SET scope = UPPER(scope) WHERE scope IS NOT NULL"),
    ),
    "hold of what the lot is not for": Fault(
        "INV-4",
        "held lot",
        "which is not in the lot's scope",
        lambda w: w.run(f"UPDATE usage_credits_hold SET operation = 'img' WHERE id = {w.held.pk}"),
    ),
    "allocation of a credit": Fault(
        "INV-4",
        "allocation",
        "or its debit is no debit",
        lambda w: w.run(
            f"UPDATE usage_credits_allocation SET debit_id = {w.credit.pk} WHERE debit_id = {w.debit.pk}"
        ),
    ),
    "balance below zero unexplained": Fault(
        "INV-5",
        "transaction",
        "with an overdraft of",
        lambda w: w.run(f"UPDATE usage_credits_transaction SET overdraft = 0 WHERE id = {w.overdrawn.pk}"),
    ),
    "transfer into debt": Fault(
        "INV-5",
        "transaction",
        "with an overdraft of",
        lambda w: w.run(
            f"UPDATE usage_credits_transaction SET category = 'transfer_out' WHERE id = {w.overdrawn.pk}"
        ),
    ),
    "capture into debt": Fault(
        "INV-5",
        "transaction",
        "with an overdraft of",
        lambda w: w.run(
            f"UPDATE usage_credits_transaction SET hold_id = {w.wallet.hold(5).pk} WHERE id = {w.overdrawn.pk}"
        ),
    ),
    "alias of a key in use": Fault(
        "INV-6",
        "key alias",
        "is also the key of another",
        lambda w: KeyAlias.objects.create(wallet=w.wallet, key="k1", transaction=w.debit),
    ),
    "alias of another wallet's row": Fault(
        "INV-6",
        "key alias",
        "is also the key of another",
        lambda w: KeyAlias.objects.create(wallet=w.wallet, key="k3", transaction=w.overdrawn),
    ),
    "purchase awarded twice": Fault(
        "INV-6",
        "fulfillment",
        "the purchase was awarded",
        lambda w: w.wallet.credit(50, category="credit_pack_purchase", fulfillment=w.sold),
    ),
    "more taken back than awarded": Fault(
        "INV-6",
        "fulfillment",
        "were taken back of",
        lambda w: w.wallet.debit(31, category="credit_pack_refund", fulfillment=w.sold),
    ),
    "more claimed than awarded": Fault(
        "INV-6",
        "fulfillment",
        "were taken back of",
        lambda w: Debt.objects.create(
            wallet=w.wallet, fulfillment=w.sold, payment="pi:1", amount=31, open_amount=31
        ),
    ),
    "more given back than taken": Fault(
        "INV-6",
        "fulfillment",
        "were taken back of",
        lambda w: w.wallet.credit(21, category="credit_pack_refund", fulfillment=w.sold),
    ),
    "claims out of nothing": Fault(
        "INV-6",
        "wallet",
        "the open claims add up to",
        lambda w: w.run(f"UPDATE usage_credits_wallet SET claims = 1 WHERE id = {w.wallet.pk}"),
    ),
    "claim that the wallet does not know": Fault(
        "INV-6",
        "wallet",
        "the open claims add up to",
        lambda w: Debt.objects.create(
            wallet=w.wallet, fulfillment=w.sold, payment="pi:1", amount=5, open_amount=5
        ),
    ),
    "claim in another wallet": Fault(
        "INV-6",
        "debt",
        "or its fulfillment or credit is of another wallet",
        lambda w: Debt.objects.create(
            wallet=w.other, fulfillment=w.sold, payment="pi:1", amount=5, open_amount=5
        ),
    ),
    "award in another wallet": Fault(
        "INV-6",
        "fulfillment",
        "were taken back of",
        lambda w: w.other.credit(50, category="bonus", fulfillment=w.sold),
    ),
    "award reversed twice": Fault(
        "INV-6",
        "fulfillment",
        "were taken back of",
        lambda w: (
            w.sold.transactions.get(amount=50).reverse(),
            w.run("UPDATE usage_credits_transaction SET amount = amount - 1 WHERE reverses_id IS NOT NULL"),
        ),
    ),
    "claim of more than the credit": Fault(
        "INV-6",
        "debt",
        "or its fulfillment or credit is of another wallet",
        lambda w: Debt.objects.create(wallet=w.wallet, reverses=w.credit, amount=101, open_amount=101),
    ),
    "debit reversed by more than it took": Fault(
        "INV-6",
        "transaction",
        "or the rows that reverse it are in another wallet",
        lambda w: w.run(
            f"UPDATE usage_credits_transaction SET reverses_id = {w.debit.pk} WHERE id = {w.credit.pk}"
        ),
    ),
    "credit reversed and claimed": Fault(
        "INV-6",
        "transaction",
        "or the rows that reverse it are in another wallet",
        lambda w: (
            w.credit.reverse(),
            w.run(
                f"UPDATE usage_credits_debt SET amount = 51, open_amount = 51 WHERE reverses_id = {w.credit.pk}"
            ),
        ),
    ),
    "reversal in another wallet": Fault(
        "INV-6",
        "transaction",
        "or the rows that reverse it are in another wallet",
        lambda w: w.run(
            f"UPDATE usage_credits_transaction SET reverses_id = {w.credit.pk} WHERE id = {w.overdrawn.pk}"
        ),
    ),
    "credit reversed by less than was left of it": Fault(
        "INV-6",
        "transaction",
        "or the rows that reverse it are in another wallet",
        lambda w: (
            w.credit.reverse(),
            w.run(
                f"UPDATE usage_credits_debt SET amount = 29, open_amount = 29 WHERE reverses_id = {w.credit.pk}"
            ),
            w.run(f"UPDATE usage_credits_wallet SET claims = 29 WHERE id = {w.wallet.pk}"),
        ),
    ),
    "claim of a reversed credit forgotten": Fault(
        "INV-6",
        "transaction",
        "or the rows that reverse it are in another wallet",
        lambda w: (
            w.credit.reverse(),
            w.run(f"DELETE FROM usage_credits_debt WHERE reverses_id = {w.credit.pk}"),
            w.run(f"UPDATE usage_credits_wallet SET claims = 0 WHERE id = {w.wallet.pk}"),
        ),
    ),
    "debit reversed twice": Fault(
        "INV-6",
        "transaction",
        "or the rows that reverse it are in another wallet",
        lambda w: (
            w.debit.reverse(),
            w.run(
                f"UPDATE usage_credits_transaction SET reverses_id = {w.debit.pk} "
                f"WHERE id = {w.wallet.credit(30).pk}"
            ),
        ),
    ),
    "reversal reversed": Fault(
        "INV-6",
        "transaction",
        "or it stays",
        lambda w: w.run(
            f"UPDATE usage_credits_transaction SET reverses_id = {w.debit.reverse()[0].pk} "
            f"WHERE id = {w.wallet.debit(30).pk}"
        ),
    ),
    "capture after the hold's time": Fault(
        "INV-4",
        "transaction",
        "whose time was over",
        lambda w: w.run(
            "UPDATE usage_credits_hold SET expires_at = created_at "
            f"WHERE id = {w.wallet.hold(5).capture().hold_id}"
        ),
    ),
    "transfer of more than its legs": Fault(
        "INV-8",
        "transfer",
        "or a leg is of another wallet or asset",
        lambda w: (
            w.wallet.transfer_to(w.other, 5),
            w.run("UPDATE usage_credits_transfer SET amount = 6"),
        ),
    ),
    "transfer of another asset": Fault(
        "INV-8",
        "transfer",
        "or a leg is of another wallet or asset",
        lambda w: (
            w.wallet.transfer_to(w.other, 5),
            w.run("UPDATE usage_credits_transfer SET asset = 'gems'"),
        ),
    ),
    "transfer with a leg too many": Fault(
        "INV-8",
        "transfer",
        "or a leg is of another wallet or asset",
        lambda w: w.run(
            "UPDATE usage_credits_transaction SET transfer_id = "
            f"{w.wallet.transfer_to(w.other, 5).pk} WHERE id = {w.credit.pk}"
        ),
    ),
    "transfer reversed with less given back than taken": Fault(
        "INV-8",
        "transfer",
        "had expired",
        lambda w: (
            w.wallet.transfer_to(w.other, 20).reverse(),
            w.run(
                "UPDATE usage_credits_transaction SET amount = 19, balance_after = balance_after - 1 "
                "WHERE category = 'reversal' AND amount = 20"
            ),
        ),
    ),
    "recharge without its award": Fault(
        "INV-6",
        "recharge",
        "or by a fulfillment of another payment",
        lambda w: recharged(
            w, Fulfillment.objects.create(wallet=w.wallet, source="stripe", source_id="pi:0")
        ),
    ),
    "recharge awarded by another payment": Fault(
        "INV-6", "recharge", "or by a fulfillment of another payment", lambda w: recharged(w, w.sold)
    ),
    "transfer reversed on one side": Fault(
        "INV-8",
        "transfer",
        "had expired",
        lambda w: (
            w.wallet.transfer_to(w.other, 5).reverse(),
            w.run(
                "UPDATE usage_credits_transaction SET reverses_id = NULL WHERE category = 'reversal' AND amount > 0"
            ),
        ),
    ),
    "cap that forgot a debit": Fault(
        "INV-9",
        "spending cap",
        "its key spent",
        lambda w: (capped(w), w.run("UPDATE usage_credits_spendingcap SET spent = spent - 1")),
    ),
    "cap that counts from too late": Fault(
        "INV-9",
        "spending cap",
        "its key spent",
        lambda w: (capped(w), w.run("UPDATE usage_credits_spendingcap SET counts_from = 1000000")),
    ),
    "cap that still counts what was reversed": Fault(
        "INV-9",
        "spending cap",
        "its key spent",
        lambda w: (capped(w).reverse(), w.run("UPDATE usage_credits_spendingcap SET spent = 5")),
    ),
    "cap whose window never ends": Fault(
        "INV-9",
        "spending cap",
        "its window starts at",
        lambda w: (
            capped(w),
            w.run("UPDATE usage_credits_spendingcap SET window_start = '2999-01-01 00:00:00'"),
        ),
    ),
    "cap that the wallet does not know": Fault(
        "INV-9",
        "wallet",
        "spending caps, the wallet counts",
        lambda w: (
            capped(w),
            w.run(f"UPDATE usage_credits_wallet SET cap_count = 0 WHERE id = {w.wallet.pk}"),
        ),
    ),
}

KEY_USED_TWICE = Fault("INV-6", "transaction", "had an effect before", lambda w: None)


def of_fault(fault: Fault, findings: list[Finding]) -> list[Finding]:
    """Return the findings of the checks that name the fault."""
    said = [check.problem.split("{")[-1].split("}")[-1] for check in CHECKS if fault.problem in check.problem]
    return [
        finding
        for finding in findings
        if finding.invariant == fault.invariant
        and finding.row.startswith(f"{fault.table} ")
        and any(finding.problem.endswith(end) for end in said)
    ]


@pytest.mark.django_db
@pytest.mark.parametrize("name", FAULTS)
def test_planted_fault_is_found_and_named(world: World, name: str) -> None:
    fault = FAULTS[name]
    fault.plant(world)
    found = of_fault(fault, list(verify()))
    assert found
    assert all("{" not in str(finding) and f"wallet {finding.wallet_id}" in str(finding) for finding in found)


def test_every_check_has_a_planted_fault() -> None:
    planted = [*FAULTS.values(), KEY_USED_TWICE]
    unproved = [
        check.problem
        for check in CHECKS
        if not any(
            (fault.invariant, fault.table) == (check.invariant, check.table)
            and fault.problem in check.problem
            for fault in planted
        )
    ]
    assert unproved == []


@pytest.mark.django_db(transaction=True)
def test_key_used_twice_is_found_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wallet = make_wallet()
    first = wallet.credit(5, idempotency_key="pi_1")
    second = wallet.credit(5, idempotency_key="pi_2")
    wallet.credit(5, idempotency_key="PI_1")
    set_key = "UPDATE usage_credits_transaction SET idempotency_key = '{}' WHERE id = {}"
    (unique,) = (
        one for one in Transaction._meta.constraints if one.name == "usage_credits_one_effect_per_key"
    )
    with monkeypatch.context() as patch:
        patch.setattr(
            Transaction._meta, "constraints", [one for one in Transaction._meta.constraints if one != unique]
        )
        with connection.schema_editor() as editor:
            editor.remove_constraint(Transaction, unique)
    try:
        with unguarded() as run:
            run(set_key.format("pi_1", second.pk))
        (finding,) = verify()
        with unguarded() as run:
            run(set_key.format("pi_2", second.pk))
    finally:
        with connection.schema_editor() as editor:
            editor.add_constraint(Transaction, unique)
    assert of_fault(KEY_USED_TWICE, [finding]) == [finding]
    assert finding.row == f"transaction {second.pk}"
    assert str(first.pk) in finding.problem
    assert "pi_1" in finding.problem
    assert list(verify()) == []


@pytest.mark.django_db
def test_verification_of_one_wallet_leaves_the_others_alone(world: World) -> None:
    world.run(f"UPDATE usage_credits_wallet SET balance = balance + 1 WHERE id = {world.wallet.pk}")
    assert list(verify(wallet_id=world.other.pk)) == []
    assert {finding.wallet_id for finding in verify(wallet_id=world.wallet.pk)} == {world.wallet.pk}


@pytest.mark.django_db
def test_verification_goes_through_all_wallets_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    wallets = [make_wallet(5) for _ in range(5)]
    Wallet.objects.filter(pk__in=[wallets[0].pk, wallets[4].pk]).update(booked_balance=6)
    monkeypatch.setattr(verification, "WALLETS_AT_ONCE", 2)
    assert {finding.wallet_id for finding in verify()} == {wallets[0].pk, wallets[4].pk}


@pytest.mark.django_db
def test_verification_of_nothing_and_of_open_lots_is_clean() -> None:
    assert list(verify()) == []
    wallet = make_wallet()
    add_lots(wallet, 500, amount=3)
    wallet.debit(700)
    assert list(verify()) == []

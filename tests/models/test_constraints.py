from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.db import IntegrityError, connection, models, transaction
from django.utils import timezone

from tests.factories import make_wallet, stored
from usage_credits.models import (
    Allocation,
    Debt,
    Fulfillment,
    HeldLot,
    Hold,
    KeyAlias,
    Lot,
    PaymentNotice,
    Recharge,
    RechargeSetting,
    SpendingCap,
    Transaction,
    Transfer,
    Wallet,
)

pytestmark = pytest.mark.django_db

DATE = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def refuses(model: type[models.Model], *rows: dict[str, Any]) -> bool:
    """Tell whether the database refuses the rows, which reach it as they are; nothing of them stays."""
    before = stored()
    try:
        with transaction.atomic():
            model._default_manager.bulk_create([model(**columns) for columns in rows])
            connection.check_constraints()
            transaction.set_rollback(True)
    except IntegrityError:
        return True
    finally:
        assert stored() == before
    return False


def row_of(wallet: Wallet, **columns: Any) -> dict[str, Any]:
    defaults = {"wallet": wallet, "amount": 5, "category": "bonus", "balance_before": 0, "balance_after": 5}
    return defaults | columns


@pytest.mark.behaviour("ALO-13")
@pytest.mark.parametrize(
    "columns",
    [
        {"amount": 0, "balance_after": 0},
        {"balance_after": 6},
        {"balance_before": 1},
        {"overdraft": 1},
        {"overdraft": -1},
        {"amount": -5, "balance_before": 5, "balance_after": 0, "overdraft": 6},
        {"amount": -5, "balance_before": 5, "balance_after": 0, "overdraft": -1},
        {"cash_amount": 5},
        {"cash_currency": "usd"},
    ],
    ids=str,
)
def test_transactions_must_add_up(columns: dict[str, Any]) -> None:
    wallet = make_wallet()
    assert refuses(Transaction, row_of(wallet, **columns))
    assert not refuses(Transaction, row_of(wallet))


@pytest.mark.behaviour("DEC-12", "DEC-17")
def test_one_idempotency_key_stands_once_in_a_wallet() -> None:
    wallet, other = make_wallet(), make_wallet()
    assert refuses(Transaction, *[row_of(wallet, idempotency_key="pi_1")] * 2)
    assert not refuses(
        Transaction,
        row_of(wallet, idempotency_key="pi_A"),
        row_of(wallet, idempotency_key="pi_a"),
        row_of(wallet, idempotency_key="pi_a "),
        row_of(wallet, idempotency_key=None),
        row_of(wallet, idempotency_key=None),
        row_of(other, idempotency_key="pi_A"),
    )


@pytest.mark.behaviour("DEC-12")
def test_one_fulfillment_is_awarded_once_for_a_grid_date() -> None:
    wallet = make_wallet()
    sold = Fulfillment.objects.create(wallet=wallet, kind="manual", source="manual")
    assert refuses(Transaction, *[row_of(wallet, fulfillment=sold, grid_date=DATE)] * 2)
    assert not refuses(
        Transaction,
        row_of(wallet, fulfillment=sold, grid_date=DATE),
        row_of(wallet, fulfillment=sold, grid_date=DATE + datetime.timedelta(days=1)),
        row_of(wallet, fulfillment=sold),
        row_of(wallet, fulfillment=sold),
    )


@pytest.mark.behaviour("DEC-12")
def test_one_source_is_fulfilled_once() -> None:
    wallet = make_wallet()
    sold = {"wallet": wallet, "kind": "credit_pack", "source": "stripe"}
    assert refuses(Fulfillment, *[sold | {"source_id": "cs_A"}] * 2)
    assert not refuses(
        Fulfillment,
        sold | {"source_id": "cs_A"},
        sold | {"source_id": "cs_a"},
        sold | {"source_id": "cs_A "},
        sold | {"source": "other", "source_id": "cs_A"},
        sold,
        sold,
    )


@pytest.mark.behaviour("WAL-18")
def test_one_owner_has_one_wallet_of_an_asset() -> None:
    wallet = make_wallet()
    same = {"owner_type": wallet.owner_type, "owner_id": wallet.owner_id}
    assert refuses(Wallet, same | {"asset": "credits"})
    assert not refuses(Wallet, same | {"asset": "gems"}, {"asset": "credits"}, {"asset": "credits"})


def test_owner_ids_are_compared_byte_by_byte() -> None:
    kind = make_wallet().owner_type
    ids = ["a-key", "A-key", "a-key ", "á-key"]
    rows = [{"owner_type": kind, "owner_id": owner_id, "asset": "credits"} for owner_id in ids]
    assert not refuses(Wallet, *rows)
    Wallet.objects.bulk_create(Wallet(**row) for row in rows)
    for owner_id in ids:
        assert Wallet.objects.get(owner_type=kind, owner_id=owner_id).owner_id == owner_id


@pytest.mark.parametrize("columns", [{"debt": -1}, {"booked_held": -1}], ids=str)
def test_projections_of_a_wallet_are_not_negative(columns: dict[str, Any]) -> None:
    assert refuses(Wallet, {"asset": "credits", **columns})
    assert not refuses(Wallet, {"asset": "credits", "booked_balance": -1})


@pytest.mark.behaviour("ALO-13")
@pytest.mark.parametrize(
    "columns",
    [
        {"remaining": -1},
        {"remaining": 6},
        {"remaining": 0, "is_open": True},
        {"remaining": 5, "is_open": False},
    ],
    ids=str,
)
def test_lots_keep_between_nothing_and_their_amount(columns: dict[str, Any]) -> None:
    wallet = make_wallet()
    lot = {
        "wallet": wallet,
        "transaction": wallet.transactions.create(**row_of(wallet)),
        "amount": 5,
        "remaining": 5,
    }
    assert refuses(Lot, lot | columns)
    assert refuses(Lot, lot, lot)
    assert not refuses(Lot, lot)


@pytest.mark.behaviour("ALO-13")
@pytest.mark.parametrize("amount", [0, -1])
def test_allocations_are_positive(amount: int) -> None:
    wallet = make_wallet(10)
    debit = wallet.debit(5)
    allocation = {"wallet": wallet, "debit": debit, "lot": wallet.lots.get()}
    assert refuses(Allocation, allocation | {"amount": amount})
    assert not refuses(Allocation, allocation | {"amount": 1})


@pytest.mark.parametrize(
    "columns",
    [{"amount": 0}, {"amount": -1}, {"expiration_policy": "fresh"}, {"to_wallet": None}],
    ids=str,
)
def test_transfers_move_something_between_two_wallets(columns: dict[str, Any]) -> None:
    wallet, other = make_wallet(), make_wallet()
    transfer = {
        "from_wallet": wallet,
        "to_wallet": other,
        "asset": "credits",
        "amount": 5,
        "category": "gift",
        "expiration_policy": "preserve",
    }
    changed = transfer | columns
    assert refuses(Transfer, changed | {"to_wallet": changed["to_wallet"] or wallet})
    assert not refuses(Transfer, transfer)


def test_holds_and_what_they_keep() -> None:
    wallet = make_wallet(10)
    hold = {"wallet": wallet, "amount": 5, "expires_at": timezone.now(), "category": "operation_charge"}
    assert refuses(Hold, hold | {"amount": 0})
    assert refuses(Hold, hold | {"captured": -1})
    assert refuses(Hold, *[hold | {"idempotency_key": "job"}] * 2)
    assert not refuses(Hold, hold | {"idempotency_key": "job"}, hold | {"idempotency_key": "Job"}, hold, hold)
    part = {"hold": Hold.objects.create(**hold), "lot": wallet.lots.get()}
    assert refuses(HeldLot, part | {"amount": -1})
    assert refuses(HeldLot, part | {"amount": 1}, part | {"amount": 2})
    assert not refuses(HeldLot, part | {"amount": 1})


def test_claims_are_open_up_to_their_amount() -> None:
    wallet = make_wallet()
    sold = Fulfillment.objects.create(wallet=wallet, kind="credit_pack", source="stripe", source_id="pi:pi_A")
    claim = {"wallet": wallet, "fulfillment": sold, "payment": "pi:pi_A"}
    assert refuses(Debt, claim | {"amount": 0, "open_amount": 0})
    assert refuses(Debt, claim | {"amount": 5, "open_amount": 6})
    assert refuses(Debt, claim | {"amount": 5, "open_amount": -1})
    whole, paid = claim | {"amount": 5, "open_amount": 5}, claim | {"amount": 5, "open_amount": 0}
    assert refuses(Debt, whole, paid)
    assert not refuses(Debt, whole, paid | {"payment": "pi:pi_a"})


def test_one_alias_stands_for_a_key() -> None:
    wallet = make_wallet(10)
    row = wallet.history().get()
    assert refuses(KeyAlias, *[{"wallet": wallet, "key": "evt_1", "transaction": row}] * 2)
    assert not refuses(
        KeyAlias, *[{"wallet": wallet, "key": key, "transaction": row} for key in ("evt_1", "Evt_1")]
    )


def test_one_notice_stands_for_a_payment() -> None:
    notice = {"source": "stripe", "source_id": "cs_A", "reason": "no_owner"}
    assert refuses(PaymentNotice, notice, notice)
    assert not refuses(PaymentNotice, notice, notice | {"source_id": "cs_a"})


def test_one_cap_of_a_key_stands_once_for_a_period_and_is_not_negative() -> None:
    wallet, other = make_wallet(), make_wallet()
    cap: dict[str, Any] = {
        "wallet": wallet,
        "attributed_to": "key",
        "every": "P1D",
        "limit": 0,
        "window_start": DATE,
        "counts_from": 1,
    }
    assert refuses(SpendingCap, cap, cap)
    assert refuses(SpendingCap, cap | {"limit": -1})
    assert refuses(SpendingCap, cap | {"spent": -1})
    assert not refuses(
        SpendingCap,
        cap,
        cap | {"every": "P1M"},
        cap | {"attributed_to": "KEY"},
        cap | {"attributed_to": "key "},
        cap | {"wallet": other},
    )


def recharge_of(wallet: Wallet, **columns: Any) -> dict[str, Any]:
    defaults = {
        "wallet": wallet,
        "in_flight_of": wallet,
        "key": "key",
        "pack_name": "starter",
        "credits": 1_000,
        "amount": 4_900,
        "currency": "usd",
    }
    return defaults | columns


@pytest.mark.behaviour("TOK-08", "TOK-09")
@pytest.mark.parametrize(
    "columns",
    [
        {"credits": 0},
        {"amount": 0},
        {"in_flight_of": None},
        {"state": "paid", "in_flight_of": None},
        {"state": "failed"},
        {"state": "succeeded", "in_flight_of": None, "payment": "pi:1"},
        {"state": "lost", "in_flight_of": None},
    ],
    ids=str,
)
def test_refuse_recharge_that_contradicts_itself(columns: dict[str, Any]) -> None:
    wallet = make_wallet()
    assert not refuses(Recharge, recharge_of(wallet))
    assert refuses(Recharge, recharge_of(wallet, **columns))
    assert refuses(Recharge, recharge_of(wallet, in_flight_of=make_wallet()))


@pytest.mark.behaviour("TOK-09")
def test_refuse_second_recharge_in_flight_or_of_one_payment() -> None:
    wallet, other = make_wallet(), make_wallet()
    assert refuses(Recharge, recharge_of(wallet), recharge_of(wallet, key="other"))
    assert refuses(Recharge, recharge_of(wallet), recharge_of(other))
    paid = {"payment": "pi:1"}
    assert refuses(Recharge, recharge_of(wallet, **paid), recharge_of(other, key="other", **paid))
    failed = {"state": "failed", "in_flight_of": None, "key": "other"}
    assert not refuses(
        Recharge, recharge_of(wallet), recharge_of(wallet, **failed), recharge_of(other, key="Key")
    )


@pytest.mark.parametrize("columns", [{"threshold": -1}, {"max_per_day": 0}, {"max_per_month": 0}], ids=str)
def test_refuse_recharge_setting_without_bounds(columns: dict[str, Any]) -> None:
    wallet = make_wallet()
    terms = {"wallet": wallet, "pack_name": "starter", "threshold": 0, "max_per_day": 1, "max_per_month": 1}
    assert not refuses(RechargeSetting, terms)
    assert refuses(RechargeSetting, terms | columns)
    assert refuses(RechargeSetting, terms, terms)

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from tests import bad_values
from tests.factories import (
    amounts_of,
    configured,
    make_wallet,
    names,
    payments_of,
    remaining_of,
    snapshots_of,
    stored,
)
from usage_credits import InsufficientCredits, InvalidAmount, InvalidValue
from usage_credits.ledger.verification import verify
from usage_credits.models import Allocation, Fulfillment, FulfillmentKind, Wallet
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db


@pytest.mark.behaviour("DEB-01")
def test_debit_posts_one_row_and_returns_it() -> None:
    wallet = make_wallet(1000)
    row = wallet.debit(50)
    assert (row.amount, row.balance_before, row.balance_after, row.overdraft) == (-50, 1000, 950, 0)
    assert sum(amount for _, amount in payments_of(row)) == 50
    assert row == wallet.history().last()
    assert wallet.balance == 950


@pytest.mark.behaviour("DEB-02", "SUL-06")
def test_debit_is_refused_beyond_the_balance() -> None:
    wallet = make_wallet(5)
    before = stored()
    with pytest.raises(InsufficientCredits) as refusal:
        wallet.debit(10, idempotency_key="later")
    assert (refusal.value.available, refusal.value.required) == (5, 10)
    assert stored() == before
    assert wallet.balance == 5
    wallet.credit(5)
    assert not wallet.debit(10, idempotency_key="later").replayed


@pytest.mark.behaviour("DEB-03", "SUL-01")
def test_debit_may_empty_the_wallet() -> None:
    wallet = make_wallet(100)
    assert wallet.debit(30).balance_after == 70
    with pytest.raises(InsufficientCredits):
        wallet.debit(100)
    assert wallet.balance == 70
    assert wallet.debit(70).balance_after == 0
    assert wallet.balance == 0


@pytest.mark.behaviour("SUL-03")
def test_debit_answers_the_new_balance_or_what_was_needed() -> None:
    wallet = make_wallet(20)
    assert wallet.debit(15).balance_after == 5
    with pytest.raises(InsufficientCredits, match="6 credits are required, 5 are available"):
        wallet.debit(6)


REFUSED: list[tuple[str, Any]] = [
    *(("amount", value) for value in bad_values.AMOUNTS),
    *(("metadata", value) for value in bad_values.METADATA),
    *(("idempotency_key", value) for value in bad_values.KEYS),
    *(("attributed_to", value) for value in bad_values.KEYS),
    *(("category", value) for value in bad_values.CATEGORIES),
]


@pytest.mark.behaviour("DEB-04", "DEB-07", "CRE-08", "CRE-09", "DEC-22", "CAT-09", "SUL-02", "SUL-11")
@pytest.mark.parametrize(("field", "value"), REFUSED, ids=bad_values.named)
def test_debit_refuses_bad_input_and_writes_nothing(field: str, value: Any) -> None:
    wallet = make_wallet(10)
    before = stored()
    arguments: dict[str, Any] = {"amount": 5, "idempotency_key": "once"}
    with capture_events() as heard, pytest.raises(InvalidValue) as refusal:
        wallet.debit(**(arguments | {field: value}))
    assert refusal.value.field == field
    assert isinstance(refusal.value, ValueError)
    assert isinstance(refusal.value, InvalidAmount) == (field == "amount")
    assert stored() == before
    assert heard == []
    assert not wallet.debit(**arguments).replayed


@pytest.mark.behaviour("DEB-05")
def test_refusal_does_not_depend_on_metadata() -> None:
    with pytest.raises(InsufficientCredits):
        make_wallet().debit(1, metadata=None)


@pytest.mark.behaviour("DEB-06", "CRE-10", "CRE-12")
def test_debit_stores_metadata_and_links_in_the_same_insert() -> None:
    wallet = make_wallet(10)
    sold = Fulfillment.objects.create(wallet=wallet, kind=FulfillmentKind.MANUAL, source="manual")
    row = wallet.debit(4, metadata={"job": 7, "balance_after": 99}, attributed_to="key_1", fulfillment=sold)
    row.refresh_from_db()
    assert row.metadata == {"job": 7, "balance_after": 99}
    assert (row.balance_before, row.balance_after) == (10, 6)
    assert (row.attributed_to, row.fulfillment) == ("key_1", sold)


@pytest.mark.behaviour("DEB-07")
def test_debit_without_category_gets_the_default_one() -> None:
    assert make_wallet(1).debit(1).category == "credit_deducted"


@pytest.mark.behaviour("DEB-11")
def test_debit_decides_on_what_the_database_holds() -> None:
    stale = make_wallet(100)
    Wallet.objects.get(pk=stale.pk).debit(90)
    with pytest.raises(InsufficientCredits) as refusal:
        stale.debit(50)
    assert refusal.value.available == 10


@pytest.mark.behaviour("DEB-12", "DEC-05")
def test_debit_vanishes_with_the_callers_transaction() -> None:
    wallet = make_wallet(100)
    before = stored()

    def fail_after_a_debit() -> None:
        with transaction.atomic():
            wallet.debit(40, idempotency_key="rolled back")
            assert wallet.balance == 60
            raise ZeroDivisionError

    with capture_events() as heard, pytest.raises(ZeroDivisionError):
        fail_after_a_debit()
    assert stored() == before
    assert heard == []
    assert not wallet.debit(40, idempotency_key="rolled back").replayed


@pytest.mark.behaviour("DEB-13", "EVT-06", "EVT-21")
def test_refusal_is_announced_once() -> None:
    wallet = make_wallet(5)
    with capture_events() as heard, pytest.raises(InsufficientCredits):
        wallet.debit(10)
    assert names(heard) == ["insufficient_credits"]
    assert heard[0].metadata == {"available": 5, "required": 10, "params": {}}
    assert (heard[0].amount, heard[0].available, heard[0].required) == (10, 5, 10)


@pytest.mark.behaviour("DEB-14")
def test_sequential_debits_add_up() -> None:
    wallet = make_wallet(1000)
    for _ in range(10):
        wallet.debit(50)
    assert wallet.balance == 500
    assert amounts_of(wallet) == [1000, *[-50] * 10]
    assert snapshots_of(wallet)[-1] == (550, 500)
    assert remaining_of(wallet) == [500]


@pytest.mark.behaviour("CRE-13")
def test_debit_refuses_a_balance_that_does_not_fit() -> None:
    wallet = make_wallet()
    largest = 2**63 - 1
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        assert wallet.debit(largest).balance_after == -largest
        before = stored()
        with pytest.raises(InvalidAmount) as refusal:
            wallet.debit(1)
    assert refusal.value.field == "amount"
    assert stored() == before


def test_debit_of_five_hundred_lots_leaves_a_sound_ledger() -> None:
    wallet = make_wallet()
    for _ in range(500):
        wallet.credit(2)
    row = wallet.debit(999)
    assert len(payments_of(row)) == 500
    assert remaining_of(wallet) == [0] * 499 + [1]
    assert Allocation.objects.count() == 500
    assert list(verify()) == []

from __future__ import annotations

from typing import Any

import pytest

from tests.factories import add_lots, amounts_of, configured, make_wallet, names, snapshots_of, stored
from usage_credits import IdempotencyConflict, InsufficientCredits, InvalidAmount, InvalidValue
from usage_credits.ledger.batches import DebitItem
from usage_credits.ledger.verification import verify
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db


def outcomes(results: Any) -> list[Any]:
    """Return each result's amount, with "again" for a replay, or the type of its error."""
    return [
        type(result)
        if isinstance(result, Exception)
        else (result.amount, "again")
        if result.replayed
        else result.amount
        for result in results
    ]


def test_post_a_row_for_each_item_in_order() -> None:
    wallet = make_wallet(100)
    with capture_events() as heard:
        rows = wallet.debit_many(
            [
                10,
                {"amount": 20, "category": "manual_adjustment", "metadata": {"job": 7}},
                {"amount": 30, "idempotency_key": "third", "attributed_to": "key_1"},
            ]
        )
    assert rows == list(wallet.history())[1:]
    assert [(row.amount, row.category) for row in rows] == [
        (-10, "credit_deducted"),
        (-20, "manual_adjustment"),
        (-30, "credit_deducted"),
    ]
    assert (rows[1].metadata, rows[2].idempotency_key, rows[2].attributed_to) == (
        {"job": 7},
        "third",
        "key_1",
    )
    assert snapshots_of(wallet)[1:] == [(100, 90), (90, 70), (70, 40)]
    assert names(heard) == ["credits_deducted"] * 3
    assert [event.transaction for event in heard] == rows
    assert list(verify()) == []


@pytest.mark.parametrize("mode", ["all", "each"])
def test_items_share_lots_and_empty_them(mode: Any) -> None:
    wallet = make_wallet()
    add_lots(wallet, 5, amount=3)
    assert outcomes(wallet.debit_many([4, 4, 4, 3], mode=mode)) == [-4, -4, -4, -3]
    assert (wallet.balance, wallet.lots.filter(is_open=True).count()) == (0, 0)
    assert list(verify()) == []


def test_all_or_nothing() -> None:
    wallet = make_wallet(100)
    wallet.debit(30, idempotency_key="paid")
    before = stored()
    with capture_events() as heard, pytest.raises(InsufficientCredits) as refusal:
        wallet.debit_many([{"amount": 30, "idempotency_key": "paid"}, 40, 31])
    assert (refusal.value.available, refusal.value.required) == (70, 71)
    assert stored() == before
    assert [(event.event, event.amount, event.available, event.required) for event in heard] == [
        ("insufficient_credits", 71, 70, 71)
    ]
    assert outcomes(wallet.debit_many([40, 30])) == [-40, -30]


def test_each_takes_what_can_be_paid_when_its_turn_comes() -> None:
    wallet = make_wallet(100)
    with capture_events() as heard:
        results = wallet.debit_many([60, 50, {"amount": 40, "idempotency_key": "last"}, 1], mode="each")
    assert outcomes(results) == [-60, InsufficientCredits, -40, InsufficientCredits]
    refused: Any = results[1]
    assert (refused.available, refused.required) == (40, 50)
    assert names(heard).count("credits_deducted") == 2
    assert [event.amount for event in heard if event.event == "insufficient_credits"] == [50, 1]
    assert amounts_of(wallet) == [100, -60, -40]
    assert list(verify()) == []


@pytest.mark.parametrize("mode", ["all", "each"])
def test_repeated_keys_replay(mode: Any) -> None:
    wallet = make_wallet(100)
    first = wallet.debit(10, idempotency_key="before")
    items: Any = [
        {"amount": 10, "idempotency_key": "before"},
        {"amount": 90, "idempotency_key": "now"},
        {"amount": 90, "idempotency_key": "now"},
    ]
    results: Any = wallet.debit_many(items, mode=mode)
    assert outcomes(results) == [(-10, "again"), -90, (-90, "again")]
    assert (results[0], results[1]) == (first, results[2])
    before = stored()
    with capture_events() as heard:
        assert outcomes(wallet.debit_many(items, mode=mode)) == [
            (-10, "again"),
            (-90, "again"),
            (-90, "again"),
        ]
    assert (stored(), heard) == (before, [])


def test_older_spelling_of_a_key_replays() -> None:
    wallet = make_wallet(100)
    wallet.credit(5, idempotency_key="old")
    wallet.credit(5, idempotency_key="new", legacy_keys=["old"])
    with pytest.raises(IdempotencyConflict, match="new"):
        wallet.debit_many([{"amount": 5, "idempotency_key": "new"}])


@pytest.mark.parametrize(
    "items",
    [
        [1, {"amount": 31, "idempotency_key": "paid"}],
        [1, {"amount": 30, "idempotency_key": "paid", "category": "manual_adjustment"}],
        [{"amount": 900, "idempotency_key": "twice"}, {"amount": 901, "idempotency_key": "twice"}],
    ],
)
def test_conflict_of_one_item_refuses_all(items: Any) -> None:
    wallet = make_wallet(100)
    wallet.debit(30, idempotency_key="paid")
    before = stored()
    with capture_events() as heard, pytest.raises(IdempotencyConflict):
        wallet.debit_many(items)
    assert (stored(), heard) == (before, [])


def test_conflict_of_one_item_is_its_result() -> None:
    wallet = make_wallet(100)
    wallet.debit(30, idempotency_key="paid")
    results = wallet.debit_many(
        [
            {"amount": 31, "idempotency_key": "paid"},
            {"amount": 90, "idempotency_key": "next"},
            {"amount": 40, "idempotency_key": "next"},
            {"amount": 41, "idempotency_key": "next"},
        ],
        mode="each",
    )
    assert outcomes(results) == [IdempotencyConflict, InsufficientCredits, -40, IdempotencyConflict]


def test_negatives_become_debt() -> None:
    wallet = make_wallet(10)
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        assert outcomes(wallet.debit_many([6, 6, 6])) == [-6, -6, -6]
    assert wallet.balance == -8
    wallet.credit(20)
    assert wallet.balance == 12
    assert list(verify()) == []


@pytest.mark.parametrize("mode", ["all", "each"])
@pytest.mark.parametrize(
    ("item", "error", "field"),
    [
        (0, InvalidAmount, "items[1].amount"),
        ("5", InvalidAmount, "items[1].amount"),
        (True, InvalidAmount, "items[1].amount"),
        ({"amount": 1.5}, InvalidAmount, "items[1].amount"),
        ({}, InvalidValue, "items[1]"),
        ({"amount": 5, "category": "nonsense"}, InvalidValue, "items[1].category"),
        ({"amount": 5, "metadata": 7}, InvalidValue, "items[1].metadata"),
        ({"amount": 5, "idempotency_key": ""}, InvalidValue, "items[1].idempotency_key"),
        ({"amount": 5, "attributed_to": 7}, InvalidValue, "items[1].attributed_to"),
        ({"amount": 5, "fulfillment": None}, InvalidValue, "items[1]"),
    ],
)
def test_bad_item_names_its_index(item: Any, error: type[InvalidValue], field: str, mode: Any) -> None:
    wallet = make_wallet(100)
    before = stored()
    with capture_events() as heard, pytest.raises(error) as refusal:
        wallet.debit_many([5, item], mode=mode)
    assert type(refusal.value) is error
    assert refusal.value.field == field
    assert (stored(), heard) == (before, [])


@pytest.mark.parametrize("items", ["12", b"12", {"amount": 5}, 5, None])
def test_what_is_no_list_is_refused(items: Any) -> None:
    with pytest.raises(InvalidValue) as refusal:
        make_wallet(100).debit_many(items)
    assert refusal.value.field == "items"


@pytest.mark.parametrize("mode", ["some", None, ["all"]])
def test_unknown_mode_is_refused(mode: Any) -> None:
    with pytest.raises(InvalidValue) as refusal:
        make_wallet(100).debit_many([5], mode=mode)
    assert refusal.value.field == "mode"


@pytest.mark.parametrize("mode", ["all", "each"])
def test_batch_of_nothing(mode: Any) -> None:
    assert make_wallet().debit_many([], mode=mode) == []


def test_texts_are_stored_as_they_are() -> None:
    wallet = make_wallet(10)
    texts = ['"', "\\", '\\"', "{}", "a,b", "NULL", "line\nbreak", "ключ", "'; --"]
    items = [DebitItem(amount=1, idempotency_key=text, metadata={text: [text, None]}) for text in texts]
    wallet.debit_many(items)
    rows = wallet.history().filter(amount__lt=0)
    assert [(row.idempotency_key, row.metadata) for row in rows] == [
        (text, {text: [text, None]}) for text in texts
    ]

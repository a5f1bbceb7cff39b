from __future__ import annotations

from typing import Any

import pytest
import time_machine
from django.utils import timezone

from tests.factories import amounts_of, configured, days, make_user, make_wallet, stored
from usage_credits import IdempotencyConflict, InsufficientCredits, InvalidValue
from usage_credits.ledger.verification import verify
from usage_credits.models import KeyAlias, Transaction
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db


@pytest.mark.behaviour("DEC-12", "DEC-17", "SUL-04", "SUL-05")
@pytest.mark.parametrize("verb", ["credit", "debit"])
def test_repeat_returns_the_first_row_and_posts_nothing(verb: str) -> None:
    wallet = make_wallet(100)
    first = getattr(wallet, verb)(30, idempotency_key="job-1", metadata={"try": 1})
    before = stored()
    with capture_events() as heard:
        again = getattr(wallet, verb)(30, idempotency_key="job-1", metadata={"try": 2})
    assert (first.replayed, again.replayed) == (False, True)
    assert again == first
    assert again.metadata == {"try": 1}
    assert stored() == before
    assert heard == []


@pytest.mark.behaviour("SUL-07", "DEC-17")
def test_repeat_is_answered_before_balance_time_and_expiry() -> None:
    wallet = make_wallet()
    with time_machine.travel("2026-01-01", tick=False) as clock:
        soon = timezone.now() + days(1)
        wallet.credit(50, expires_at=soon, idempotency_key="grant")
        wallet.credit(50, expires_at=soon)
        debit = wallet.debit(60, idempotency_key="spend")
        clock.shift(days(400))
        before = stored()
        assert wallet.debit(60, idempotency_key="spend") == debit
        assert wallet.credit(50, expires_at=soon, idempotency_key="grant").replayed
        assert stored() == before
        with pytest.raises(InsufficientCredits):
            wallet.debit(60)


@pytest.mark.behaviour("DEC-17", "SUL-08")
@pytest.mark.parametrize(
    ("verb", "amount", "category"),
    [("debit", 31, None), ("credit", 30, None), ("debit", 30, "manual_adjustment")],
)
def test_key_of_another_effect_is_a_conflict(verb: str, amount: int, category: str | None) -> None:
    wallet = make_wallet(100)
    wallet.debit(30, idempotency_key="job-1")
    before = stored()
    with capture_events() as heard, pytest.raises(IdempotencyConflict, match="job-1"):
        getattr(wallet, verb)(amount, category=category, idempotency_key="job-1")
    assert stored() == before
    assert heard == []


@pytest.mark.behaviour("SUL-09", "DEC-17")
def test_keys_belong_to_one_wallet() -> None:
    first, second = make_wallet(10), make_wallet(10)
    assert not first.debit(5, idempotency_key="same").replayed
    assert not second.debit(5, idempotency_key="same").replayed
    assert (first.balance, second.balance) == (5, 5)


@pytest.mark.behaviour("SUL-10")
def test_reason_and_key_are_kept_apart() -> None:
    wallet = make_wallet(10)
    with configured(ADDITIONAL_CATEGORIES=["a", "a:b"]):
        first = wallet.debit(1, category="a:b", idempotency_key="c")
        second = wallet.debit(1, category="a", idempotency_key="b:c")
    assert (first.replayed, second.replayed) == (False, False)
    assert [(row.category, row.idempotency_key) for row in (first, second)] == [("a:b", "c"), ("a", "b:c")]


@pytest.mark.parametrize(
    ("key", "other"),
    [
        ("pi_A", "pi_a"),
        ("key", "key "),
        ("key", " key"),
        ("e", "é"),
        ("é", "e\u0301"),
        ("ß", "ss"),
        ("k" * 255, "K" * 255),
    ],
)
def test_keys_are_compared_byte_by_byte(key: str, other: str) -> None:
    wallet = make_wallet()
    first = wallet.credit(5, idempotency_key=key)
    second = wallet.credit(7, idempotency_key=other)
    assert not second.replayed
    assert wallet.credit(5, idempotency_key=key) == first
    assert wallet.credit(7, idempotency_key=other) == second
    assert Transaction.objects.get(idempotency_key=other) == second


@pytest.mark.behaviour("SUL-13")
def test_grant_once() -> None:
    wallet = make_wallet()
    assert not wallet.credit(600, idempotency_key="pi:abc").replayed
    assert wallet.credit(600, idempotency_key="pi:abc").replayed
    assert wallet.balance == 600


@pytest.mark.behaviour("SUL-14", "SUL-15")
def test_older_key_counts_as_used_and_so_does_the_new_one_from_then_on() -> None:
    wallet = make_wallet()
    first = wallet.credit(600, idempotency_key="evt_1")
    skipped = wallet.credit(600, idempotency_key="cs_1", legacy_keys=["evt_0", "evt_1"])
    assert (skipped, skipped.replayed) == (first, True)
    later = wallet.credit(600, idempotency_key="cs_1")
    assert (later, later.replayed) == (first, True)
    assert wallet.credit(600, idempotency_key="cs_1", legacy_keys=["evt_1"]) == first
    assert wallet.credit(600, idempotency_key="pi_1", legacy_keys=["cs_1"]) == first
    assert wallet.balance == 600
    assert KeyAlias.objects.count() == 2
    assert list(verify()) == []


def test_older_keys_alone_are_looked_up_too() -> None:
    wallet = make_wallet()
    assert not wallet.credit(600, legacy_keys=["evt_1"]).replayed
    wallet.credit(600, idempotency_key="evt_1")
    assert wallet.credit(600, legacy_keys=["evt_1"]).replayed
    assert not KeyAlias.objects.exists()
    assert amounts_of(wallet) == [600, 600]


def test_older_key_of_another_effect_is_a_conflict_and_records_nothing() -> None:
    wallet = make_wallet()
    wallet.credit(600, idempotency_key="evt_1")
    before = stored()
    with pytest.raises(IdempotencyConflict):
        wallet.credit(500, idempotency_key="cs_1", legacy_keys=["evt_1"])
    assert stored() == before


def test_keys_longer_than_the_column_are_refused_whole() -> None:
    wallet = make_wallet()
    wallet.credit(5, idempotency_key="k" * 255)
    with pytest.raises(InvalidValue):
        wallet.credit(5, idempotency_key="k" * 255 + "x")
    assert wallet.credit(5, idempotency_key="k" * 255).replayed


@pytest.mark.behaviour("SUL-18")
def test_attribution_is_stored_with_the_debit_and_once() -> None:
    wallet = make_wallet(100)
    row = wallet.debit(40, attributed_to="key_1", idempotency_key="job")
    again = wallet.debit(40, attributed_to="key_2", idempotency_key="job")
    assert (again, again.attributed_to) == (row, "key_1")
    assert wallet.debit(1).attributed_to is None


@pytest.mark.behaviour("SUL-20")
def test_repeated_attributed_spend_counts_once() -> None:
    user = make_user(100)
    for _ in range(2):
        user.spend_credits_on("report", attributed_to="key_1", idempotency_key="job")
    attributed = Transaction.objects.filter(attributed_to="key_1")
    assert [row.amount for row in attributed] == [-25]


@pytest.mark.behaviour("SUL-21")
def test_row_is_found_by_its_reference() -> None:
    wallet = make_wallet()
    wallet.credit(600, idempotency_key="pi:abc", cash=900)
    row: Any = wallet.history().filter(idempotency_key="pi:abc").first()
    assert (row.amount, row.cash_amount) == (600, 900)
    assert wallet.history().filter(idempotency_key="pi:abd").first() is None

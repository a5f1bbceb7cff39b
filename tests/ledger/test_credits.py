from __future__ import annotations

import datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
import time_machine
from django.utils import timezone

from tests import bad_values
from tests.factories import (
    amounts_of,
    configured,
    days,
    lot_of,
    make_wallet,
    remaining_of,
    snapshots_of,
    stored,
)
from usage_credits import InvalidAmount, InvalidValue, WalletNotFound, cents, dollars, euros
from usage_credits.models import Fulfillment, FulfillmentKind, Transaction, Wallet
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db


@pytest.mark.behaviour("CRE-01")
def test_credit_posts_one_row_and_returns_it() -> None:
    wallet = make_wallet(1000)
    row = wallet.credit(75)
    assert (row.amount, row.balance_before, row.balance_after) == (75, 1000, 1075)
    assert row == wallet.history().last()
    assert wallet.balance == 1075
    assert lot_of(row).remaining == 75
    assert not row.replayed


@pytest.mark.behaviour("CRE-02")
def test_credit_without_category_gets_the_default_one() -> None:
    assert make_wallet().credit(1).category == "credit_added"


@pytest.mark.behaviour("CRE-03")
def test_credit_keeps_its_expiry_unchanged() -> None:
    wallet = make_wallet()
    moment = timezone.now() + datetime.timedelta(days=3, microseconds=123_457)
    in_india = moment.astimezone(datetime.timezone(datetime.timedelta(hours=5, minutes=30)))
    row = wallet.credit(1, expires_at=in_india)
    row.refresh_from_db()
    assert row.expires_at == moment
    assert lot_of(row).expires_at == moment
    never = wallet.credit(1, expires_at=None)
    never.refresh_from_db()
    assert never.expires_at is None


@pytest.mark.behaviour("CRE-05")
def test_credit_reads_a_plain_date_as_midnight_utc() -> None:
    row = make_wallet().credit(1, expires_at=datetime.date(2999, 1, 2))
    row.refresh_from_db()
    assert row.expires_at == datetime.datetime(2999, 1, 2, tzinfo=datetime.UTC)


@pytest.mark.behaviour("CRE-04")
@time_machine.travel("2026-01-01", tick=False)
def test_credit_refuses_an_expiry_that_is_now() -> None:
    wallet = make_wallet()
    before = stored()
    for passed in (datetime.timedelta(0), datetime.timedelta(microseconds=1), days(1)):
        with pytest.raises(InvalidValue, match="future") as refusal:
            wallet.credit(1, expires_at=timezone.now() - passed)
        assert refusal.value.field == "expires_at"
    assert stored() == before
    soon = timezone.now() + datetime.timedelta(microseconds=1)
    assert wallet.credit(1, expires_at=soon).expires_at == soon


REFUSED: list[tuple[str, Any]] = [
    *(("amount", value) for value in bad_values.AMOUNTS),
    *(("metadata", value) for value in bad_values.METADATA),
    *(("idempotency_key", value) for value in bad_values.KEYS),
    *(("category", value) for value in bad_values.CATEGORIES),
    *(("expires_at", value) for value in bad_values.EXPIRIES),
    *(("grid_date", value) for value in bad_values.EXPIRIES[:5]),
    *(("cash", value) for value in ("49", 49.0, Decimal(49), True, 2**63)),
    *(("legacy_keys", value) for value in ("one_key", b"bytes", 5, [""], [None], ["ok", "nul\x00"])),
]


@pytest.mark.behaviour(
    "CRE-04", "CRE-05", "CRE-06", "CRE-08", "CRE-09", "CRE-13", "CRE-14", "DEC-22", "CAT-09", "SUL-16"
)
@pytest.mark.parametrize(("field", "value"), REFUSED, ids=bad_values.named)
def test_credit_refuses_bad_input_and_writes_nothing(field: str, value: Any) -> None:
    wallet = make_wallet(10)
    before = stored()
    arguments: dict[str, Any] = {"amount": 5, "idempotency_key": "once"}
    with capture_events() as heard, pytest.raises(InvalidValue) as refusal:
        wallet.credit(**(arguments | {field: value}))
    assert refusal.value.field == field
    assert isinstance(refusal.value, ValueError)
    assert isinstance(refusal.value, InvalidAmount) == (field == "amount")
    assert len(str(refusal.value)) < 1_000
    assert stored() == before
    assert heard == []
    assert not wallet.credit(**arguments).replayed


@pytest.mark.behaviour("CRE-10")
def test_credit_keeps_its_snapshots_apart_from_metadata() -> None:
    row = make_wallet(7).credit(1, metadata={"balance_before": 99, "balance_after": -1})
    row.refresh_from_db()
    assert (row.balance_before, row.balance_after) == (7, 8)


@pytest.mark.behaviour("CRE-11")
def test_credit_copies_metadata_as_json() -> None:
    class Colour(Enum):
        RED = "red"

    identifier = UUID("0190d3a0-0000-7000-8000-00000000000a")
    given: dict[Any, Any] = {
        "at": datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC),
        "on": datetime.date(2026, 1, 2),
        "price": Decimal("1.50"),
        "id": identifier,
        "colour": Colour.RED,
        "took": datetime.timedelta(minutes=1),
        "tags": {"only"},
        "nested": {"list": [1, {"deep": None}]},
        7: "seven",
    }
    kept = dict(given)
    row = make_wallet().credit(1, metadata=given)
    assert given == kept
    row.refresh_from_db()
    assert row.metadata == {
        "at": "2026-01-02T03:04:00+00:00",
        "on": "2026-01-02",
        "price": "1.50",
        "id": str(identifier),
        "colour": "red",
        "took": "0:01:00",
        "tags": ["only"],
        "nested": {"list": [1, {"deep": None}]},
        "7": "seven",
    }
    given["nested"]["list"].append(2)
    assert row.metadata["nested"] == {"list": [1, {"deep": None}]}


@pytest.mark.behaviour("WAL-21")
@pytest.mark.parametrize(
    "metadata",
    [{"text": "x" * 10_000}, {"text": "naïve 深い 🎈 \\u0000 'quoted' \"twice\" \\"}, {"a": {"b": [[]]}}],
)
def test_credit_metadata_round_trips(metadata: dict[str, Any]) -> None:
    row = make_wallet().credit(1, metadata=metadata)
    row.refresh_from_db()
    assert row.metadata == metadata


@pytest.mark.behaviour("CRE-12")
def test_credit_stores_its_links_in_the_same_insert() -> None:
    wallet = make_wallet()
    sold = Fulfillment.objects.create(wallet=wallet, kind=FulfillmentKind.MANUAL, source="manual")
    date = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    row = wallet.credit(5, fulfillment=sold, grid_date=date, cash=cents(4_900), idempotency_key="k")
    row.refresh_from_db()
    assert (row.fulfillment, row.grid_date, row.cash_amount, row.cash_currency) == (sold, date, 4_900, "usd")


@pytest.mark.behaviour("SUL-17", "DEC-24")
def test_credit_annotates_cash_once() -> None:
    wallet = make_wallet()
    row = wallet.credit(5, cash=dollars(49), idempotency_key="pi_1")
    assert (row.cash_amount, row.cash_currency) == (4_900, "usd")
    again = wallet.credit(5, cash=dollars(1), idempotency_key="pi_1")
    assert (again.cash_amount, again.replayed) == (4_900, True)
    assert wallet.credit(5, cash=-250).cash_amount == -250
    assert wallet.credit(5, cash=euros(2)).cash_currency == "eur"
    for nothing in (None, 0, cents(0)):
        row = wallet.credit(5, cash=nothing)
        assert (row.cash_amount, row.cash_currency) == (None, None)
    with configured(DEFAULT_CURRENCY="jpy"):
        assert wallet.credit(5, cash=700).cash_currency == "jpy"


@pytest.mark.behaviour("CRE-13", "BAL-10", "DEC-09")
def test_credit_holds_large_amounts_exactly() -> None:
    wallet = make_wallet(1_000_000_000)
    wallet.credit(5_000_000_000)
    assert wallet.balance == 6_000_000_000
    wallet.credit(1_000_000_000)
    assert wallet.balance == 7_000_000_000
    assert type(wallet.balance) is int


@pytest.mark.behaviour("CRE-13")
def test_credit_refuses_a_balance_that_does_not_fit() -> None:
    wallet = make_wallet()
    largest = 2**63 - 1
    assert wallet.credit(largest).balance_after == largest
    before = stored()
    with pytest.raises(InvalidAmount) as refusal:
        wallet.credit(1, idempotency_key="too much")
    assert refusal.value.field == "amount"
    assert stored() == before
    wallet.debit(largest)
    assert not wallet.credit(1, idempotency_key="too much").replayed


@pytest.mark.behaviour("CRE-15")
def test_credit_is_accepted_below_zero_after_negatives_were_switched_off() -> None:
    wallet = make_wallet()
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        wallet.debit(30)
    assert wallet.balance == -30
    row = wallet.credit(10)
    assert (row.balance_before, row.balance_after) == (-30, -20)
    assert wallet.balance == -20


@pytest.mark.behaviour("CRE-17")
def test_credit_needs_a_saved_wallet() -> None:
    with pytest.raises(InvalidValue) as refusal:
        Wallet(asset="credits").credit(5)
    assert refusal.value.field == "wallet"
    assert not Transaction.objects.exists()


@pytest.mark.parametrize("verb", ["credit", "debit"])
def test_writes_report_a_wallet_that_is_gone(verb: str) -> None:
    wallet = make_wallet()
    Wallet.objects.filter(pk=wallet.pk).delete()
    with pytest.raises(WalletNotFound):
        getattr(wallet, verb)(5)
    with pytest.raises(WalletNotFound):
        _ = wallet.balance


@pytest.mark.behaviour("DEC-10")
def test_every_row_of_one_write_carries_the_same_moment() -> None:
    wallet = make_wallet()
    with time_machine.travel("2026-01-01", tick=False) as clock:
        wallet.credit(5, expires_at=timezone.now() + days(1))
        clock.shift(days(2))
    wallet.credit(5)
    expired, added = wallet.history().order_by("-pk")[:2][::-1]
    assert (expired.category, added.category) == ("expiration", "credit_added")
    assert expired.created_at == added.created_at


@pytest.mark.behaviour("WAL-24")
def test_stale_instances_read_and_write_what_the_database_holds() -> None:
    first = make_wallet(10)
    second = Wallet.objects.get(pk=first.pk)
    first.credit(5)
    assert second.balance == 15
    second.credit(1)
    assert snapshots_of(first) == [(0, 10), (10, 15), (15, 16)]
    second.metadata = {"note": "saved from a stale instance"}
    second.save()
    assert first.balance == 16
    assert remaining_of(first) == amounts_of(first) == [10, 5, 1]

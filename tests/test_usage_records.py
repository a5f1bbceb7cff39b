from __future__ import annotations

import datetime
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.db import transaction
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from tests.app.models import Newcomer, User
from tests.factories import (
    StudioFactory,
    TeamFactory,
    amounts_of,
    configured,
    days,
    make_user,
    names,
    stored,
)
from tests.settings import USAGE_CREDITS
from usage_credits import (
    IdempotencyConflict,
    InvalidOperation,
    InvalidValue,
    Operation,
    WalletNotFound,
    credits,
    key_spend,
    token_prices,
    token_rates,
)
from usage_credits.ledger.verification import verify
from usage_credits.models import Lot, Transaction
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db

START = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.UTC)

# One credit for an input token, two for an output token; what they cost is 3 and 15 dollars a million.
CHAT = Operation(
    "chat",
    costs=token_rates({"small": (credits(1), credits(2)), "local": 0}, every=1),
    provider_cost=token_prices({"small": (3, 15)}),
)
OTHER = Operation("embed", costs=token_rates({"small": {"input_tokens": 1}}, every=1))
OPERATIONS: Any = USAGE_CREDITS["OPERATIONS"]


@pytest.fixture(autouse=True)
def clock() -> Iterator[Any]:
    with time_machine.travel(START, tick=False) as clock, configured(OPERATIONS=[*OPERATIONS, CHAT, OTHER]):
        yield clock
        assert list(verify()) == []


def record(owner: Any, tokens: int, message: str = "msg_1", **options: Any) -> Transaction | None:
    """Record so many input tokens, which cost as many credits."""
    row: Transaction | None = owner.record_usage(
        "chat", message=message, **{"model": "small", "input_tokens": tokens, "output_tokens": 0, **options}
    )
    return row


def lots_of(owner: Any) -> list[tuple[int, datetime.datetime | None]]:
    """Return what is left by expiry."""
    found: dict[datetime.datetime | None, int] = {}
    for lot in Lot.objects.filter(wallet=owner.wallet(), is_open=True):
        found[lot.expires_at] = found.get(lot.expires_at, 0) + lot.remaining
    return sorted(((left, ends) for ends, left in found.items()), key=str)


@pytest.mark.behaviour("TOK-13")
def test_message_is_charged_once() -> None:
    user = make_user(1_000)
    with capture_events() as events:
        first = record(user, 100, output_tokens=20, member=7, attributed_to="key_1", metadata={"chat": 5})
        again = record(user, 100, output_tokens=20, member=7, attributed_to="key_1", metadata={"chat": 5})
    assert first is not None
    assert again is not None
    assert (first.amount, first.category, first.operation) == (-140, "operation_charge", "chat")
    assert (first.attributed_to, first.model, first.member, first.tokens) == ("key_1", "small", "7", 120)
    assert (first.provider_cost, first.provider_currency) == (Decimal("0.06"), "usd")
    assert first.metadata["message"] == "msg_1"
    assert first.metadata["metadata"] == {"chat": 5}
    assert first.metadata["provider_cost"] == "0.06"
    assert (first.replayed, again.replayed, again.pk) == (False, True, first.pk)
    assert (user.credits, names(events)) == (860, ["credits_deducted"])


@pytest.mark.behaviour("TOK-13")
def test_changed_counts_post_only_the_difference() -> None:
    user = make_user(1_000)
    rows = [record(user, tokens) for tokens in (100, 130, 90, 90, 0, 40)]
    posted = [row.amount for row in rows if row is not None and not row.replayed]
    assert posted == [-100, -30, 10, 90, -40]
    assert amounts_of(user.wallet()) == [1_000, -100, -30, 30, 10, 90, -40]
    assert user.credits == 960
    keys = Transaction.objects.exclude(idempotency_key=None).order_by("pk")
    assert [row.idempotency_key for row in keys] == [f"usage:msg_1:{number}" for number in range(1, 7)]
    assert sum(row.tokens or 0 for row in keys) == 40
    assert sum(row.provider_cost or 0 for row in keys) == Decimal("0.012")


def test_messages_and_owners_are_apart() -> None:
    user, team = make_user(1_000), TeamFactory.create()
    team.give_credits(100)
    record(user, 10, "msg")
    record(user, 20, "msg:1")
    record(user, 30, "MSG")
    record(team, 40, "msg")
    assert (user.credits, team.credits) == (940, 60)


def test_many_corrections_of_one_message_add_up() -> None:
    user = make_user(1_000)
    for tokens in range(1, 41):
        record(user, tokens)
    assert user.credits == 960
    row = record(user, 40)
    assert row is not None
    assert row.replayed
    record(user, 5)
    assert user.credits == 995


@pytest.mark.behaviour("TOK-14")
def test_what_was_used_is_due_where_credits_lack() -> None:
    user = make_user(30)
    user.wallet().set_cap("key_1", 5, every="day")
    with capture_events() as events:
        row = record(user, 100, attributed_to="key_1")
    assert row is not None
    assert (row.amount, row.overdraft, user.wallet().balance, user.credits) == (-100, 70, -70, 0)
    assert names(events) == ["credits_deducted"]
    (cap,) = user.wallet().caps("key_1")
    assert (cap.spent, cap.left) == (100, 0)
    user.give_credits(100)
    assert user.credits == 30


@pytest.mark.behaviour("TOK-14")
def test_reserved_credits_pay_what_was_used() -> None:
    user = make_user(100)
    hold = user.hold_credits_for("chat", model="small", member="ada", input_tokens=10, output_tokens=45)
    assert hold is not None
    assert user.credits == 0
    with transaction.atomic():
        hold.release()
        record(user, 10, output_tokens=30)
    assert (user.credits, user.wallet().held) == (30, 0)


def test_capture_of_a_hold_says_model_and_member() -> None:
    user = make_user(100)
    hold = user.hold_credits_for("chat", model="small", member="ada", input_tokens=10, output_tokens=45)
    assert hold is not None
    row = hold.capture(20)
    assert (row.model, row.member, row.tokens, row.provider_cost) == ("small", "ada", None, None)


def test_debt_shrinks_with_the_price() -> None:
    user = make_user()
    record(user, 50, "msg_0")
    record(user, 100)
    user.give_credits(60)
    record(user, 20)
    assert user.wallet().balance == -10
    record(user, 0)
    assert user.wallet().balance == 10


def test_what_is_given_back_expires_as_what_had_paid(clock: Any) -> None:
    user = make_user()
    user.give_credits(40, expires_at=START + days(1))
    user.give_credits(40, expires_at=START + days(5))
    user.give_credits(40)
    record(user, 100)
    record(user, 90)
    assert lots_of(user) == [(30, None)]
    record(user, 70)
    assert lots_of(user) == [(10, START + days(5)), (40, None)]
    clock.shift(days(2))
    record(user, 10)
    assert lots_of(user) == [(40, None), (40, START + days(5))]
    assert user.credits == 80


def test_priority_and_scope_come_back() -> None:
    user = make_user(100)
    user.give_credits(40, scope=["chat"], priority=-1)
    record(user, 50)
    record(user, 20)
    assert (user.credits, user.credits_for("chat")) == (120, 120)
    assert user.credits_for("report") == 100


def test_caps_count_what_is_left_of_the_message() -> None:
    user = make_user(1_000)
    user.wallet().set_cap("key_1", 500, every="day")
    for tokens in (100, 150, 30):
        record(user, tokens, attributed_to="key_1")
    (cap,) = user.wallet().caps("key_1")
    assert cap.spent == key_spend("key_1", owner=user) == 30


def test_message_that_is_given_back_with_its_debt_returns_what_had_paid_it() -> None:
    user = make_user()
    user.give_credits(1, expires_at=START + days(1))
    for tokens in (2, 3, 0):
        record(user, tokens)
    assert lots_of(user) == [(1, START + days(1))]


@pytest.mark.parametrize("tokens", [50, 100])
def test_reversal_gives_back_what_is_left_of_a_corrected_charge(tokens: int) -> None:
    user = make_user(1_000)
    charge = record(user, 100)
    record(user, tokens)
    assert charge is not None
    (row,) = charge.reverse(reason="complaint")
    assert (row.amount, row.tokens, user.credits) == (tokens, -tokens, 1_000)
    assert [(one.pk, one.replayed) for one in charge.reverse()] == [(row.pk, True)]


def test_what_was_reversed_stays_waived() -> None:
    user = make_user(1_000)
    charge = record(user, 100)
    assert charge is not None
    charge.reverse()
    for tokens in (100, 60, 100):
        row = record(user, tokens)
        assert row is not None
        assert row.replayed
    assert user.credits == 1_000
    record(user, 130)
    assert user.credits == 970


def test_charge_that_was_corrected_to_nothing_has_nothing_to_reverse() -> None:
    user = make_user(1_000)
    charge = record(user, 100)
    record(user, 0)
    assert charge is not None
    assert charge.reverse() == []
    assert user.credits == 1_000


def test_free_use_posts_nothing() -> None:
    user = make_user(10)
    before = stored()
    assert record(user, 0) is None
    assert record(user, 500, model="local") is None
    assert stored() == before


def test_message_of_another_operation_or_model_is_a_conflict() -> None:
    user = make_user(1_000)
    record(user, 10)
    user.wallet().debit(5, idempotency_key="usage:mine:1")
    before = stored()
    calls: list[Any] = [
        lambda: user.record_usage("embed", message="msg_1", model="small", input_tokens=10),
        lambda: user.record_usage("report", message="msg_1"),
        lambda: record(user, 10, model="local"),
        lambda: record(user, 10, "mine"),
    ]
    for call in calls:
        with pytest.raises(IdempotencyConflict):
            call()
    assert stored() == before


@pytest.mark.parametrize("message", [None, 5, "", " ", "x" * 241, "a\x00b", "\ud800", b"msg"])
def test_refuse_what_is_no_id_of_a_message(message: Any) -> None:
    user = make_user(10)
    before = stored()
    with pytest.raises(InvalidValue) as refusal:
        record(user, 5, message)
    assert refusal.value.field == "message"
    assert stored() == before


@pytest.mark.parametrize("message", ["x" * 240, "Größe: 5 €", "🙂" * 240, "usage:a:1"])
def test_any_text_is_an_id(message: str) -> None:
    user = make_user(10)
    record(user, 5, message)
    record(user, 7, message)
    assert user.credits == 3


@pytest.mark.parametrize(
    "params",
    [{"model": "gpt-9"}, {"input_tokens": -1}, {"idempotency_key": "k"}, {"ttl": 5}, {"amount": 5}],
    ids=str,
)
def test_refused_use_writes_nothing(params: dict[str, Any]) -> None:
    user = make_user(10)
    before = stored()
    with pytest.raises(InvalidOperation):
        record(user, 5, **params)
    assert stored() == before


def test_wallet_is_created_where_that_is_on() -> None:
    Newcomer.objects.bulk_create([Newcomer(name="without a wallet")])
    newcomer = Newcomer.objects.get()
    record(newcomer, 30)
    assert newcomer.credits == 70
    with pytest.raises(WalletNotFound):
        record(StudioFactory.create(), 5)


def test_names_that_no_column_holds_are_left_out() -> None:
    user = make_user(100)
    row = user.spend_credits_on("report", model="x" * 256, member={"id": 7})
    other = user.spend_credits_on("report", model=True, member="m\x00")
    assert row is not None
    assert other is not None
    assert (row.model, row.member) == (None, None)
    assert (other.model, other.member) == (None, "m\\x00")


def undone(row: Transaction) -> int:
    return sum(one.amount for one in row.reversals.all())


@override_settings(USAGE_CREDITS={"OPERATIONS": [CHAT]})
class RecordedPrices(TestCase):
    """A message costs in the end what it would have cost had its last counts been known from the start."""

    @given(
        grants=st.lists(st.tuples(st.integers(1, 60), st.sampled_from([None, 1, 2, 3])), max_size=4),
        before=st.integers(0, 60),
        prices=st.lists(st.integers(0, 120), min_size=1, max_size=8),
    )
    def test_corrections_leave_what_one_charge_would_have_left(
        self, grants: list[tuple[int, int | None]], before: int, prices: list[int]
    ) -> None:
        corrected, direct = self.owner(grants), self.owner(grants)
        record(corrected, before, "msg_0")
        record(direct, before, "msg_0")
        for price in prices:
            record(corrected, price)
        record(direct, prices[-1])
        assert lots_of(corrected) == lots_of(direct)
        assert corrected.wallet().balance == direct.wallet().balance
        assert list(verify()) == []

    @given(
        steps=st.lists(
            st.one_of(
                st.tuples(st.just("record"), st.integers(0, 2), st.integers(0, 80)),
                st.tuples(st.just("credit"), st.integers(1, 60), st.integers(0, 5)),
                st.tuples(st.just("reverse"), st.integers(0, 9), st.just(0)),
                st.tuples(st.just("hold"), st.integers(1, 30), st.just(0)),
                st.tuples(st.just("wait"), st.integers(1, 3), st.just(0)),
            ),
            max_size=20,
        )
    )
    def test_ledger_stays_sound_whatever_else_happens(self, steps: list[tuple[str, int, int]]) -> None:
        user = make_user()
        wallet = user.wallet()
        wallet.set_cap("key_1", 50, every="month")
        with time_machine.travel(START, tick=False) as clock:
            for step, first, second in steps:
                debits = wallet.transactions.filter(operation="chat").order_by("pk")
                match step:
                    case "record":
                        record(user, second, f"msg_{first}", attributed_to="key_1")
                    case "credit":
                        ends = datetime.datetime.now(datetime.UTC) + days(second) if second else None
                        user.give_credits(first, expires_at=ends)
                    case "reverse":
                        for row in debits[first : first + 1]:
                            row.reverse()
                    case "hold" if user.credits >= first:
                        wallet.hold(first, ttl=days(2))
                    case "wait":
                        clock.shift(days(first))
                assert list(verify()) == []
                assert not [row for row in debits if undone(row) > -row.amount]

    def owner(self, grants: list[tuple[int, int | None]]) -> User:
        user = make_user()
        for amount, ends in grants:
            user.give_credits(amount, expires_at=START + days(ends) if ends else None)
        return user


def test_record_from_async_code() -> None:
    user = make_user(100)
    row = async_to_sync(user.arecord_usage)(
        "chat", message="msg_1", model="small", input_tokens=10, output_tokens=0
    )
    assert row is not None
    assert (row.amount, user.credits) == (-10, 90)

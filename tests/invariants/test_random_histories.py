from __future__ import annotations

import datetime
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from typing import Any, ClassVar, NamedTuple

import pytest
import time_machine
from django.db import transaction
from django.test import override_settings
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.app.models import User
from tests.factories import make_user
from tests.invariants import model
from tests.invariants.model import NEVER, START
from tests.invariants.rows import check_rows, count_rows
from usage_credits import (
    HoldNotOpen,
    IdempotencyConflict,
    InsufficientCredits,
    ledger_stats,
    with_credits,
)
from usage_credits.billing.refunds import Returned, settle_pack
from usage_credits.ledger.expiry import book_expired
from usage_credits.ledger.verification import verify
from usage_credits.models import Fulfillment, Hold, Transaction, Wallet
from usage_credits.testing import capture_events

IS_LONG = os.environ.get("HYPOTHESIS_PROFILE") == "ci"
# Histories take the same course on every database; the locks that differ are tested with real processes elsewhere.
IS_SQLITE = os.environ.get("TEST_DATABASE", "sqlite") == "sqlite"
HISTORIES = settings(
    max_examples=(2_000 if IS_LONG else 200) // (1 if IS_SQLITE else 10),
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

HOUR = datetime.timedelta(hours=1)
SIDES = st.integers(0, 1)
AMOUNTS = st.integers(1, 30)
HOURS = st.integers(1, 12)
PICKS = st.integers(0, 20)
KEYS = st.sampled_from([None, None, None, None, "a", "A"])
PARTS = st.sampled_from([None, None, 1, 2, 5, 10, 40])

UNDONE: dict[str, Callable[[Wallet, Wallet, int, str | None], Any]] = {
    "debit": lambda wallet, _other, amount, key: wallet.debit(amount, idempotency_key=key).reverse(),
    "hold": lambda wallet, _other, amount, key: wallet.hold(amount, idempotency_key=key).capture(1),
    "transfer": lambda wallet, other, amount, key: wallet.transfer_to(
        other, amount, idempotency_key=key
    ).reverse(),
}
"""What is done before a rollback, besides a credit."""


STOCK = ((5, 2), (10, 6), (10, None))
"""Amounts and hours of the lots with which every history starts."""
HELD, HELD_FOR, OWED = 12, 4 * HOUR, 7


class Pair(NamedTuple):
    """What the ledger stored, what the model has of it, and on which side."""

    stored: Any
    model: Any
    side: int


class Start(NamedTuple):
    """From where each history goes on, posted once for all: a wallet with stock, one with a debt, both with a hold."""

    users: list[User]
    credits: list[Transaction]
    holds: list[Hold]
    debit: Transaction

    @classmethod
    def post(cls) -> Start:
        users = [make_user(), make_user()]
        wallet, other = (user.wallet() for user in users)
        with time_machine.travel(START, tick=False), allowing(True):
            rows = [
                wallet.credit(amount, expires_at=None if hours is None else START + hours * HOUR)
                for amount, hours in STOCK
            ]
            other.credit(HELD)
            holds = [one.hold(HELD, ttl=HELD_FOR) for one in (wallet, other)]
            return cls(users, rows, holds, other.debit(OWED))


class RandomHistory(RuleBasedStateMachine):
    """Two wallets and the same two in plain Python; each history is rolled back."""

    start: ClassVar[Start]

    def __init__(self) -> None:
        super().__init__()
        self.travel = time_machine.travel(START, tick=False)
        self.traveller: Any = self.travel.start()
        self.history = transaction.atomic()
        self.history.__enter__()
        self.users = self.start.users
        self.wallets = [user.wallet() for user in self.users]
        self.clock = model.Clock()
        self.ledgers = [model.Ledger(self.clock), model.Ledger(self.clock)]
        self.past: dict[datetime.datetime, list[int]] = {}
        self.keys: dict[tuple[object, ...], Pair] = {}
        self.credits: list[Pair] = []
        self.debits: list[Pair] = []
        self.sales: list[Pair] = []
        self.holds: list[Pair] = []
        self.transfers: list[Pair] = []
        self.steps = 0
        for row, (amount, hours) in zip(self.start.credits, STOCK, strict=True):
            self.credits.append(
                Pair(copy(row), self.ledgers[0].credit(amount, self.after(hours) or NEVER), 0)
            )
        self.ledgers[1].credit(HELD)
        for side, held in enumerate(self.start.holds):
            self.holds.append(Pair(copy(held), self.ledgers[side].hold(HELD, START + HELD_FOR), side))
        owed = self.ledgers[1].debit(OWED, negatives=True)
        self.debits.append(Pair(copy(self.start.debit), owed, 1))

    def teardown(self) -> None:
        try:
            if sys.exc_info()[0] is None:
                self.check_the_end()
        finally:
            transaction.set_rollback(True)
            self.history.__exit__(None, None, None)
            self.travel.stop()

    def both(self, side: int, act: Callable[[], Any], expect: Callable[[], Any]) -> Pair | None:
        """Do the same in the model and in the ledger; return what both made, None where both refused."""
        try:
            expected = expect()
        except model.TooLittle as reason:
            with pytest.raises(InsufficientCredits) as refusal:
                act()
            refused = refusal.value.available, refusal.value.required
            assert refused == reason.args  # noqa: PT017 - the model's refusal may come or not
        except model.NotOpen:
            with pytest.raises(HoldNotOpen):
                act()
        else:
            return Pair(act(), expected, side)
        return None

    def once(
        self,
        side: int,
        key: str | None,
        use: tuple[str, int | None, int | None],
        act: Callable[[], Any],
        expect: Callable[[], Any],
    ) -> Pair | None:
        """As `both`, under a key. Used before for the same (verb, hold, amount) it replays, else it is refused."""
        *kind, amount = use
        where = (side, use[0] == "hold", key)
        first = self.keys.get(where)
        if first is None:
            made = self.both(side, act, expect)
            if made:
                assert not made.stored.replayed
            if made and key is not None:
                self.keys[where] = Pair(made.stored, kind, side)
            return made
        if kind == first.model and amount in (None, abs(first.stored.amount)):
            again = act()
            assert (again.pk, again.replayed) == (first.stored.pk, True)
        else:
            with pytest.raises(IdempotencyConflict):
                act()
        return None

    def after(self, hours: int | None) -> datetime.datetime | None:
        return None if hours is None else self.clock.now + hours * HOUR

    @rule(side=SIDES, amount=AMOUNTS, hours=st.none() | HOURS, key=KEYS)
    def credit(self, side: int, amount: int, hours: int | None, key: str | None) -> None:
        ends = self.after(hours)
        made = self.once(
            side,
            key,
            ("credit", None, amount),
            lambda: self.wallets[side].credit(amount, expires_at=ends, idempotency_key=key),
            lambda: self.ledgers[side].credit(amount, ends or NEVER),
        )
        if made:
            self.credits.append(made)

    @rule(side=SIDES, amount=AMOUNTS)
    def buy(self, side: int, amount: int) -> None:
        source = f"pi:{len(self.sales)}"
        sold = Fulfillment.objects.create(
            wallet=self.wallets[side], kind="credit_pack", source="stripe", source_id=source
        )
        row = self.wallets[side].credit(amount, category="credit_pack_purchase", fulfillment=sold)
        lot = self.ledgers[side].credit(amount)
        lot.sale = model.Sale(amount)
        self.credits.append(Pair(row, lot, side))
        self.sales.append(Pair(sold, lot, side))

    @precondition(lambda self: self.sales)
    @rule(pick=PICKS, percent=st.sampled_from([0, 1, 33, 50, 100]), negatives=st.booleans())
    def refund(self, pick: int, percent: int, negatives: bool) -> None:
        sold, lot, side = chosen(self.sales, pick)
        with allowing(negatives):
            for _time in range(2):
                settle_pack(sold, lambda: Returned(amount=100, refunded=percent))
        self.ledgers[side].refund(lot, percent, negatives=negatives)
        refunds = sold.transactions.filter(category="credit_pack_refund").values_list("amount", flat=True)
        assert -sum(refunds) == lot.sale.taken

    @rule(side=SIDES, amount=AMOUNTS, key=KEYS, negatives=st.booleans())
    def debit(self, side: int, amount: int, key: str | None, negatives: bool) -> None:
        with allowing(negatives):
            made = self.once(
                side,
                key,
                ("debit", None, amount),
                lambda: self.wallets[side].debit(amount, idempotency_key=key),
                lambda: self.ledgers[side].debit(amount, negatives=negatives),
            )
        if made:
            self.debits.append(made)

    @rule(
        side=SIDES,
        amounts=st.lists(AMOUNTS, min_size=1, max_size=3),
        negatives=st.booleans(),
        mode=st.sampled_from(["all", "each"]),
    )
    def debit_many(self, side: int, amounts: list[int], negatives: bool, mode: Any) -> None:
        wallet, ledger = self.wallets[side], self.ledgers[side]
        with allowing(negatives):
            if mode == "all" and not negatives and sum(amounts) > ledger.payable:
                with pytest.raises(InsufficientCredits) as refusal:
                    wallet.debit_many(amounts)
                assert refusal.value.args == (ledger.payable, sum(amounts))
                return
            results: Any = wallet.debit_many(amounts, mode=mode)
        ledger.catch_up()
        for amount, result in zip(amounts, results, strict=True):
            try:
                self.debits.append(Pair(result, ledger.debit(amount, negatives=negatives), side))
            except model.TooLittle:
                assert isinstance(result, InsufficientCredits)

    @rule(side=SIDES, amount=AMOUNTS, hours=HOURS, key=KEYS)
    def hold(self, side: int, amount: int, hours: int, key: str | None) -> None:
        made = self.once(
            side,
            key,
            ("hold", None, amount),
            lambda: self.wallets[side].hold(amount, ttl=hours * HOUR, idempotency_key=key),
            lambda: self.ledgers[side].hold(amount, self.clock.now + hours * HOUR),
        )
        if made:
            self.holds.append(made)

    @precondition(lambda self: self.holds)
    @rule(pick=PICKS, hours=HOURS)
    def extend(self, pick: int, hours: int) -> None:
        held, kept, side = chosen(self.holds, pick)
        self.both(
            side,
            lambda: held.extend(hours * HOUR),
            lambda: self.ledgers[side].extend(kept, self.clock.now + hours * HOUR),
        )

    @precondition(lambda self: self.holds)
    @rule(pick=PICKS, amount=PARTS, final=st.booleans(), key=KEYS)
    def capture(self, pick: int, amount: int | None, final: bool, key: str | None) -> None:
        held, kept, side = chosen(self.holds, pick)
        made = self.once(
            side,
            key,
            ("capture", held.pk, amount),
            lambda: held.capture(amount, final=final, idempotency_key=key),
            lambda: self.ledgers[side].capture(kept, amount, final=final),
        )
        if made:
            assert -made.stored.amount == made.model.amount
            self.debits.append(made)
            assert (held.captured, held.left) == (kept.captured, kept.left)

    @precondition(lambda self: self.holds)
    @rule(pick=PICKS)
    def release(self, pick: int) -> None:
        held, kept, side = chosen(self.holds, pick)
        self.both(side, held.release, lambda: self.ledgers[side].release(kept))

    @rule(
        side=SIDES,
        amount=AMOUNTS,
        policy=st.sampled_from(["preserve", "none", "fixed"]),
        hours=HOURS,
        key=KEYS,
    )
    def transfer(self, side: int, amount: int, policy: str, hours: int, key: str | None) -> None:
        sender, receiver = self.wallets[side], self.wallets[1 - side]
        ends = {"preserve": None, "none": NEVER, "fixed": self.after(hours)}[policy]
        made = self.once(
            side,
            key,
            ("transfer", None, amount),
            lambda: sender.transfer_to(
                receiver,
                amount,
                expiration_policy=policy,
                expires_at=ends if policy == "fixed" else None,
                idempotency_key=key,
            ),
            lambda: self.ledgers[side].transfer(self.ledgers[1 - side], amount, ends),
        )
        if made:
            self.transfers.append(made)
            arrived = made.stored.inbound_transactions.values_list("amount", "expires_at")
            assert [(amount, ends or NEVER) for amount, ends in arrived] == [
                (lot.amount, lot.ends) for lot in made.model.arrived
            ]

    @precondition(lambda self: self.debits or self.credits)
    @rule(pick=PICKS, kind=st.booleans())
    def reverse(self, pick: int, kind: bool) -> None:
        row, mine, side = chosen(self.debits if kind and self.debits else self.credits or self.debits, pick)
        ledger = self.ledgers[side]
        was_reversed = mine.is_reversed
        rows = row.reverse()
        assert all(one.replayed == was_reversed for one in rows)
        if not was_reversed:
            expected = ledger.take_back([mine]) if row.amount > 0 else ledger.give_back(mine)
            assert [one.amount for one in rows] == expected

    @precondition(lambda self: self.transfers)
    @rule(pick=PICKS)
    def reverse_transfer(self, pick: int) -> None:
        moved, mine, _side = chosen(self.transfers, pick)
        expected = mine.reverse()
        rows = moved.reverse()
        assert all(one.replayed == (expected is None) for one in rows)
        assert expected is None or [one.amount for one in rows] == expected

    @rule(hours=st.integers(1, 2))
    def wait(self, hours: int) -> None:
        self.clock.now += hours * HOUR
        self.traveller.move_to(self.clock.now)

    @rule(hours=st.integers(3, 8))
    def wait_longer(self, hours: int) -> None:
        self.wait(hours)

    @rule()
    def book_what_is_over(self) -> None:
        for _ in book_expired():
            pass
        for ledger in self.ledgers:
            ledger.catch_up()
            assert ledger.booked == ledger.balance()

    @precondition(lambda self: self.steps % 3 == 0)
    @rule(side=SIDES, amount=AMOUNTS, key=KEYS, name=st.sampled_from(sorted(UNDONE)))
    def roll_back(self, side: int, amount: int, key: str | None, name: str) -> None:
        """INV-10; a key that was used then is free again, as all later uses show."""
        wallet, other, rows = self.wallets[side], self.wallets[1 - side], count_rows()
        with capture_events() as events, suppress(ZeroDivisionError), transaction.atomic():
            wallet.credit(amount, expires_at=self.after(2))
            with suppress(InsufficientCredits, IdempotencyConflict, HoldNotOpen):
                UNDONE[name](wallet, other, amount, key)
            raise ZeroDivisionError
        assert {context.event for context in events} <= {"insufficient_credits"}
        assert count_rows() == rows

    @precondition(lambda self: self.steps % 3 == 1)
    @rule(side=SIDES, hours=st.integers(0, 15), amount=AMOUNTS)
    def look_ahead(self, side: int, hours: int, amount: int) -> None:
        wallet, ledger = self.wallets[side], self.ledgers[side]
        later = self.clock.now + hours * HOUR
        assert wallet.balance_at(later) == ledger.balance(later)
        assert ledger_stats(wallet=wallet).outstanding == ledger.balance()
        plan = wallet.plan_debit(amount)
        assert (plan.refused is None) == (ledger.available >= amount)

    @invariant()
    def projections_agree(self) -> None:
        """Read all that is projected, by one statement; now and then a figure that owners read, which costs more."""
        self.past[self.clock.now] = [ledger.balance() for ledger in self.ledgers]
        projected = Wallet.objects.order_by("pk").values_list(
            "booked_balance", "booked_held", "debt", "claims"
        )
        assert list(projected) == [
            (ledger.booked, ledger.held, ledger.debt, ledger.claimed) for ledger in self.ledgers
        ]
        self.steps += 1
        if self.steps % 3 == 0:
            self.check_figure(self.steps // 3)

    def check_figure(self, number: int) -> None:
        side, ledger = number % 2, self.ledgers[number % 2]
        wallet, user = self.wallets[side], self.users[side]
        match number % 5:
            case 0:
                assert wallet.balance == ledger.balance()
            case 1:
                assert wallet.held == ledger.held
            case 2:
                assert wallet.available == ledger.available
            case 3:
                assert user.credits == ledger.available
            case _:
                users: Any = User.objects.order_by("pk")
                assert [one.credits_now for one in with_credits(users)] == [
                    one.available for one in self.ledgers
                ]

    def check_the_end(self) -> None:
        for number in range(5):
            self.check_figure(number + self.steps % 2)
        assert list(verify()) == []
        check_rows(sum(ledger.debt for ledger in self.ledgers))
        for number, (moment, balances) in enumerate(self.past.items()):
            side = number % 2
            assert self.wallets[side].balance_at(moment) == balances[side]


def chosen(pairs: list[Pair], pick: int) -> Pair:
    """Return one of the pairs, the latest for 0."""
    return pairs[-1 - pick % len(pairs)]


def allowing(negatives: bool) -> override_settings:
    return override_settings(USAGE_CREDITS={"ALLOW_NEGATIVE_BALANCE": negatives})


@pytest.mark.slow
@pytest.mark.django_db
def test_ledger_and_model_agree_on_every_random_history() -> None:
    class Machine(RandomHistory):
        start = Start.post()

    with allowing(False):
        run_state_machine_as_test(Machine, settings=HISTORIES)

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Any

import pytest
import time_machine
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.factories import configured, make_wallet
from usage_credits import InsufficientCredits
from usage_credits.ledger.verification import verify
from usage_credits.models import Hold, Transaction

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)
NEVER = datetime.datetime.max.replace(tzinfo=datetime.UTC)

AMOUNTS = st.integers(1, 30)
HOURS = st.none() | st.integers(1, 12)
PRIORITIES = st.integers(-1, 1)
OPERATIONS = st.sampled_from([None, "chat", "mail"])
SCOPES = st.sampled_from([None, None, ("chat",), ("mail",), ("chat", "mail")])

Conditions = tuple[datetime.datetime | None, int, tuple[str, ...] | None]


@dataclass
class Stock:
    """What is left of a lot."""

    conditions: Conditions
    number: int
    left: int

    def pays(self, operation: str | None) -> bool:
        scope = self.conditions[2]
        return scope is None or operation in scope


@dataclass
class Spent:
    """A debit: what it is for, what it still owes, and which lots paid how much."""

    operation: str | None
    owes: int = 0
    paid: list[tuple[Stock, int]] = field(default_factory=list)

    def take(self, lot: Stock, amount: int) -> None:
        if amount:
            lot.left -= amount
            self.paid.append((lot, amount))


@dataclass
class Kept:
    """What a hold keeps of which lots."""

    operation: str | None
    parts: list[list[Any]]

    @property
    def total(self) -> int:
        return sum(amount for _, amount in self.parts)


@dataclass
class Model:
    """The same wallet in plain Python."""

    now: datetime.datetime = START
    lots: list[Stock] = field(default_factory=list)
    debits: list[Spent] = field(default_factory=list)
    holds: list[Kept] = field(default_factory=list)
    added: int = 0

    def is_gone(self, lot: Stock) -> bool:
        expires_at = lot.conditions[0]
        return expires_at is not None and expires_at <= self.now

    @property
    def stock(self) -> int:
        return sum(lot.left for lot in self.lots if not self.is_gone(lot))

    @property
    def debt(self) -> int:
        return sum(debit.owes for debit in self.debits)

    @property
    def balance(self) -> int:
        return self.stock + sum(hold.total for hold in self.holds) - self.debt

    def payers(self, operation: str | None) -> list[Stock]:
        lots = [lot for lot in self.lots if not self.is_gone(lot) and lot.pays(operation)]
        return sorted(lots, key=lambda lot: (lot.conditions[1], lot.conditions[0] or NEVER, lot.number))

    def available(self, operation: str | None) -> int:
        return max(min(sum(lot.left for lot in self.payers(operation)), self.stock - self.debt), 0)

    def credit(self, amount: int, conditions: Conditions) -> None:
        self.added += 1
        lot = Stock(conditions, self.added, amount)
        self.lots.append(lot)
        if not self.is_gone(lot):
            self.settle(lot)

    def settle(self, lot: Stock) -> None:
        for debit in self.debits:
            if debit.owes and not lot.pays(debit.operation):
                return
            paid = min(debit.owes, lot.left)
            debit.take(lot, paid)
            debit.owes -= paid

    def debit(self, amount: int, operation: str | None, parts: list[list[Any]] = []) -> Spent:  # noqa: B006
        """Take from what a hold keeps, then from the lots; what is left then is owed."""
        debit = Spent(operation)
        for part in parts:
            paid = min(part[1], amount)
            part[0].left += paid
            part[1] -= paid
            debit.take(part[0], paid)
            amount -= paid
        for lot in self.payers(operation):
            paid = min(lot.left, amount)
            debit.take(lot, paid)
            amount -= paid
        debit.owes = amount
        self.debits.append(debit)
        return debit

    def hold(self, amount: int, operation: str | None) -> None:
        kept = self.debit(amount, operation)
        self.debits.remove(kept)
        self.holds.append(Kept(operation, [[lot, part] for lot, part in kept.paid]))

    def release(self, hold: Kept) -> None:
        self.holds.remove(hold)
        returned = [(lot, amount) for lot, amount in hold.parts if amount and not self.is_gone(lot)]
        for lot, amount in returned:
            lot.left += amount
        for lot, _ in returned:
            self.settle(lot)

    def reverse(self, debit: Spent) -> None:
        parts: dict[Conditions, int] = {}
        for lot, amount in debit.paid:
            parts[lot.conditions] = parts.get(lot.conditions, 0) + amount
        if debit.owes:
            self.credit(debit.owes, (None, 0, None))
        for conditions, amount in parts.items():
            self.credit(amount, conditions)


class RandomScopes(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock: Any = time_machine.travel(START, tick=False)
        self.traveller = self.clock.start()
        self.wallet = make_wallet()
        self.model = Model()
        self.rows: list[tuple[Transaction, Spent]] = []
        self.held: list[tuple[Hold, Kept]] = []

    def teardown(self) -> None:
        self.clock.stop()

    @rule(amount=AMOUNTS, hours=HOURS, priority=PRIORITIES, scope=SCOPES)
    def credit(self, amount: int, hours: int | None, priority: int, scope: tuple[str, ...] | None) -> None:
        expires_at = None if hours is None else self.model.now + hours * HOUR
        self.wallet.credit(amount, expires_at=expires_at, priority=priority, scope=scope)
        self.model.credit(amount, (expires_at, priority, scope))

    @rule(amount=AMOUNTS, operation=OPERATIONS, negatives=st.booleans())
    def debit(self, amount: int, operation: str | None, negatives: bool) -> None:
        available = self.model.available(operation)
        plan = self.wallet.plan_debit(amount, operation=operation)
        with configured(ALLOW_NEGATIVE_BALANCE=negatives):
            if negatives or amount <= available:
                row = self.wallet.debit(amount, operation=operation)
                self.rows.append((row, self.model.debit(amount, operation)))
                return
            with pytest.raises(InsufficientCredits) as refusal:
                self.wallet.debit(amount, operation=operation)
        assert refusal.value.available == available
        assert isinstance(plan.refused, InsufficientCredits)
        assert plan.refused.available == available

    @rule(items=st.lists(st.tuples(AMOUNTS, OPERATIONS), min_size=1, max_size=4))
    def debit_each(self, items: list[tuple[int, str | None]]) -> None:
        batch: Any = [{"amount": amount, "operation": operation} for amount, operation in items]
        results: Any = self.wallet.debit_many(batch, mode="each")
        for (amount, operation), result in zip(items, results, strict=True):
            available = self.model.available(operation)
            if amount <= available:
                self.rows.append((result, self.model.debit(amount, operation)))
            else:
                assert result.available == available

    @rule(amount=AMOUNTS, operation=OPERATIONS)
    def hold(self, amount: int, operation: str | None) -> None:
        available = self.model.available(operation)
        if amount <= available:
            held = self.wallet.hold(amount, operation=operation, ttl=1_000 * HOUR)
            self.model.hold(amount, operation)
            self.held.append((held, self.model.holds[-1]))
            return
        with pytest.raises(InsufficientCredits) as refusal:
            self.wallet.hold(amount, operation=operation)
        assert refusal.value.available == available

    @precondition(lambda self: self.held)
    @rule(data=st.data(), amount=AMOUNTS, final=st.booleans())
    def capture(self, data: st.DataObject, amount: int, final: bool) -> None:
        held, kept = data.draw(st.sampled_from(self.held))
        total = kept.total
        available = self.model.available(kept.operation)
        if amount > total + available:
            with pytest.raises(InsufficientCredits) as refusal:
                held.capture(amount, final=final)
            assert refusal.value.available == total + available
            return
        self.rows.append(
            (held.capture(amount, final=final), self.model.debit(amount, kept.operation, kept.parts))
        )
        if final or amount >= total:
            self.model.release(kept)
            self.held.remove((held, kept))

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        held, kept = data.draw(st.sampled_from(self.held))
        held.release()
        self.model.release(kept)
        self.held.remove((held, kept))

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def reverse(self, data: st.DataObject) -> None:
        row, debit = data.draw(st.sampled_from(self.rows))
        row.reverse()
        self.model.reverse(debit)
        self.rows.remove((row, debit))

    @rule(hours=st.integers(1, 8))
    def wait(self, hours: int) -> None:
        self.model.now += hours * HOUR
        self.traveller.move_to(self.model.now)

    @invariant()
    def what_can_be_spent_agrees(self) -> None:
        assert self.wallet.balance == self.model.balance
        for operation in (None, "chat", "mail"):
            available = self.model.available(operation)
            assert self.wallet.available_for(operation) == available
            assert max(self.wallet.plan_debit(1_000, operation=operation).left, 0) == available

    @invariant()
    def debts_agree(self) -> None:
        assert [row.unbacked for row, _ in self.rows] == [debit.owes for _, debit in self.rows]

    @invariant()
    def ledger_is_sound(self) -> None:
        assert list(verify(wallet_id=self.wallet.pk)) == []


@pytest.mark.slow
@pytest.mark.django_db
def test_scopes_and_model_agree_on_every_random_history() -> None:
    run_state_machine_as_test(RandomScopes)

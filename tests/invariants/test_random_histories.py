from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Any

import pytest
import time_machine
from django.db import models
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from tests.app.models import User
from tests.factories import configured, make_user
from usage_credits import IdempotencyConflict, InsufficientCredits, InvalidValue, with_credits
from usage_credits.ledger.expiry import book_expired
from usage_credits.ledger.verification import verify
from usage_credits.models import Wallet

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)

AMOUNTS = st.integers(1, 30)
HOURS = st.integers(-1, 12)
KEYS = st.sampled_from([None, None, None, "a", "A", "b", "c"])


@dataclass
class Model:
    """The same wallet in plain Python: lots by expiry, one sum of debt, and the keys that were used."""

    now: datetime.datetime = START
    lots: list[tuple[datetime.datetime | None, int]] = field(default_factory=list)
    debt: int = 0
    keys: dict[str, int] = field(default_factory=dict)

    def stock(self, moment: datetime.datetime | None = None) -> int:
        moment = moment or self.now
        return sum(left for expires_at, left in self.lots if expires_at is None or expires_at > moment)

    def balance(self, moment: datetime.datetime | None = None) -> int:
        return self.stock(moment) - self.debt

    def credit(self, amount: int, expires_at: datetime.datetime | None) -> None:
        settled = min(self.debt, amount)
        self.debt -= settled
        self.lots.append((expires_at, amount - settled))

    def debit(self, amount: int) -> None:
        never = datetime.datetime.max.replace(tzinfo=datetime.UTC)
        spendable = [lot for lot in self.lots if lot[0] is None or lot[0] > self.now]
        self.lots = []
        for expires_at, left in sorted(spendable, key=lambda lot: lot[0] or never):
            paid = min(left, amount)
            amount -= paid
            self.lots.append((expires_at, left - paid))
        self.debt += amount


class RandomHistory(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock: Any = time_machine.travel(START, tick=False)
        self.traveller = self.clock.start()
        self.user: User = make_user()
        self.wallet: Wallet = self.user.wallet()
        self.model = Model()
        self.past: dict[datetime.datetime, int] = {}

    def teardown(self) -> None:
        self.clock.stop()

    @rule(amount=AMOUNTS, hours=st.none() | HOURS, key=KEYS)
    def credit(self, amount: int, hours: int | None, key: str | None) -> None:
        expires_at = None if hours is None else self.model.now + hours * HOUR
        if key in self.model.keys:
            self.repeat(key, amount, expires_at=expires_at)
            return
        if expires_at is not None and expires_at <= self.model.now:
            with pytest.raises(InvalidValue):
                self.wallet.credit(amount, expires_at=expires_at, idempotency_key=key)
            return
        row = self.wallet.credit(amount, expires_at=expires_at, idempotency_key=key)
        self.model.credit(amount, expires_at)
        self.posted(row, amount, key)

    @rule(amount=AMOUNTS, key=KEYS, negatives=st.booleans())
    def debit(self, amount: int, key: str | None, negatives: bool) -> None:
        with configured(ALLOW_NEGATIVE_BALANCE=negatives):
            if key in self.model.keys:
                self.repeat(key, -amount)
            elif negatives or amount <= self.model.balance():
                row = self.wallet.debit(amount, idempotency_key=key)
                self.model.debit(amount)
                self.posted(row, -amount, key)
            else:
                with pytest.raises(InsufficientCredits) as refusal:
                    self.wallet.debit(amount, idempotency_key=key)
                assert refusal.value.available == max(self.model.balance(), 0)

    def posted(self, row: Any, amount: int, key: str | None) -> None:
        assert (row.amount, row.replayed, row.balance_after) == (amount, False, self.model.balance())
        if key is not None:
            self.model.keys[key] = amount

    def repeat(self, key: str | None, amount: int, **options: Any) -> None:
        assert key is not None
        verb = self.wallet.credit if amount > 0 else self.wallet.debit
        if self.model.keys[key] == amount:
            assert verb(abs(amount), idempotency_key=key, **options).replayed
        else:
            with pytest.raises(IdempotencyConflict):
                verb(abs(amount), idempotency_key=key, **options)

    @rule(hours=st.integers(1, 8))
    def wait(self, hours: int) -> None:
        self.model.now += hours * HOUR
        self.traveller.move_to(self.model.now)

    @rule()
    def book_what_expired(self) -> None:
        for _ in book_expired():
            pass
        wallet = Wallet.objects.get(pk=self.wallet.pk)
        amounts = wallet.history().values_list("amount", flat=True)
        assert sum(amounts) == wallet.booked_balance == self.model.balance()

    @invariant()
    def balances_agree(self) -> None:
        balance = self.model.balance()
        self.past[self.model.now] = balance
        assert self.wallet.balance == balance
        assert self.user.credits == max(balance, 0)
        users: models.QuerySet[Any] = User.objects.filter(pk=self.user.pk)
        assert with_credits(users).get().credits_now == max(balance, 0)

    @invariant()
    def ledger_is_sound(self) -> None:
        assert list(verify(wallet_id=self.wallet.pk)) == []

    @rule(data=st.data(), hours=st.integers(0, 15))
    def balances_of_other_moments_agree(self, data: st.DataObject, hours: int) -> None:
        later = self.model.now + hours * HOUR
        assert self.wallet.balance_at(later) == self.model.balance(later)
        if self.past:
            moment = data.draw(st.sampled_from(sorted(self.past)))
            assert self.wallet.balance_at(moment) == self.past[moment]


@pytest.mark.slow
@pytest.mark.django_db
def test_ledger_and_model_agree_on_every_random_history() -> None:
    run_state_machine_as_test(RandomHistory)

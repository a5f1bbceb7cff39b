from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Any

import pytest
import time_machine
from django.db import models
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.app.models import User
from tests.factories import configured, make_user
from usage_credits import IdempotencyConflict, InsufficientCredits, InvalidValue, ledger_stats, with_credits
from usage_credits.billing.refunds import Returned, settle_pack
from usage_credits.ledger.expiry import book_expired
from usage_credits.ledger.verification import verify
from usage_credits.models import Fulfillment, Wallet

START = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)

AMOUNTS = st.integers(1, 30)
HOURS = st.integers(-1, 12)
KEYS = st.sampled_from([None, None, None, "a", "A", "b", "c"])
PRICE = 100
CENTS = st.sampled_from([0, 1, 33, 50, 67, PRICE])


@dataclass
class Stock:
    """What is left of a lot; `payment` is the place in `Model.sold` of what bought it."""

    expires_at: datetime.datetime | None
    left: int
    payment: int | None = None


@dataclass
class Sale:
    """A bought pack: what it awarded, and what refunds took of it so far."""

    awarded: int
    taken: int = 0


@dataclass
class Model:
    """The same wallet in plain Python: lots by expiry, one sum of debt, claims, and the keys that were used."""

    now: datetime.datetime = START
    lots: list[Stock] = field(default_factory=list)
    debt: int = 0
    keys: dict[str, int] = field(default_factory=dict)
    sold: list[Sale] = field(default_factory=list)
    claims: dict[int, int] = field(default_factory=dict)

    def stock(self, moment: datetime.datetime | None = None) -> int:
        moment = moment or self.now
        return sum(lot.left for lot in self.lots if lot.expires_at is None or lot.expires_at > moment)

    def balance(self, moment: datetime.datetime | None = None) -> int:
        return self.stock(moment) - self.debt

    def credit(self, amount: int, expires_at: datetime.datetime | None, payment: int | None = None) -> int:
        """Add a lot and return what claims took of it."""
        settled = min(self.debt, amount)
        self.debt -= settled
        left = amount - settled
        for claimant, claimed in self.claims.items():
            paid = min(claimed, left)
            left -= paid
            self.claims[claimant] -= paid
            self.sold[claimant].taken += paid
        self.lots.append(Stock(expires_at, left, payment))
        return amount - settled - left

    def debit(self, amount: int, payment: int = -1) -> None:
        """Take from the lots of `payment` first, then of those that expire soonest."""
        never = datetime.datetime.max.replace(tzinfo=datetime.UTC)
        self.lots = [lot for lot in self.lots if lot.expires_at is None or lot.expires_at > self.now]
        for lot in sorted(self.lots, key=lambda lot: (lot.payment != payment, lot.expires_at or never)):
            paid = min(lot.left, amount)
            amount -= paid
            lot.left -= paid
        self.debt += amount

    def refund(self, payment: int, cents: int, negatives: bool) -> None:
        sale = self.sold[payment]
        due = -(-sale.awarded * cents // PRICE) - sale.taken
        takes = max(due if negatives else min(due, max(self.balance(), 0)), 0)
        if payment in self.claims or due > takes:
            self.claims[payment] = max(due - takes, 0)
        sale.taken += min(due, takes)
        self.debit(takes, payment)
        if due < 0:
            self.credit(-due, None)


class RandomHistory(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.clock: Any = time_machine.travel(START, tick=False)
        self.traveller = self.clock.start()
        self.user: User = make_user()
        self.wallet: Wallet = self.user.wallet()
        self.model = Model()
        self.past: dict[datetime.datetime, int] = {}
        self.sold: list[Fulfillment] = []

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
        claimed = self.model.credit(amount, expires_at)
        self.posted(row, amount, key, claimed)

    @rule(amount=AMOUNTS)
    def buy(self, amount: int) -> None:
        number = len(self.model.sold)
        sold = Fulfillment.objects.create(
            wallet=self.wallet, kind="credit_pack", source="stripe", source_id=f"pi:{self.wallet.pk}.{number}"
        )
        row = self.wallet.credit(amount, category="credit_pack_purchase", fulfillment=sold)
        self.sold.append(sold)
        self.model.sold.append(Sale(amount))
        self.posted(row, amount, None, self.model.credit(amount, None, number))

    @precondition(lambda self: self.sold)
    @rule(data=st.data(), cents=CENTS, negatives=st.booleans())
    def refund(self, data: st.DataObject, cents: int, negatives: bool) -> None:
        number = data.draw(st.integers(0, len(self.sold) - 1))
        with configured(ALLOW_NEGATIVE_BALANCE=negatives):
            for _time in range(2):
                settle_pack(self.sold[number], lambda: Returned(amount=PRICE, refunded=cents))
        self.model.refund(number, cents, negatives)

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

    @rule(
        amounts=st.lists(AMOUNTS, max_size=4), negatives=st.booleans(), mode=st.sampled_from(["all", "each"])
    )
    def debit_many(self, amounts: list[int], negatives: bool, mode: Any) -> None:
        with configured(ALLOW_NEGATIVE_BALANCE=negatives):
            if mode == "all" and not negatives and sum(amounts) > max(self.model.balance(), 0):
                with pytest.raises(InsufficientCredits) as refusal:
                    self.wallet.debit_many(amounts)
                assert refusal.value.required == sum(amounts)
                return
            results: Any = self.wallet.debit_many(amounts, mode=mode)
        for amount, result in zip(amounts, results, strict=True):
            if negatives or amount <= self.model.balance():
                self.model.debit(amount)
                self.posted(result, -amount, None)
            else:
                assert isinstance(result, InsufficientCredits)

    def posted(self, row: Any, amount: int, key: str | None, claimed: int = 0) -> None:
        balance = self.model.balance() + claimed
        assert (row.amount, row.replayed, row.balance_after) == (amount, False, balance)
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
    def plans_and_figures_agree(self) -> None:
        balance = self.model.balance()
        assert ledger_stats(wallet=self.wallet).outstanding == balance
        plan = self.wallet.plan_debit(7)
        assert (plan.refused is None) == (balance >= 7)
        assert plan.left == balance - (7 if balance >= 7 else 0)

    @invariant()
    def claims_agree(self) -> None:
        assert Wallet.objects.get(pk=self.wallet.pk).claims == sum(self.model.claims.values())
        for sold, sale in zip(self.sold, self.model.sold, strict=True):
            rows = sold.transactions.filter(category="credit_pack_refund")
            assert -sum(row.amount for row in rows) == sale.taken
            assert sale.taken + self.model.claims.get(self.sold.index(sold), 0) <= sale.awarded

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

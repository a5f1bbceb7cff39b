from __future__ import annotations

import asyncio
import datetime
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from asgiref.sync import async_to_sync, sync_to_async
from django.db import transaction

from tests.app.models import User
from tests.factories import amounts_of, configured, make_user, names, stored
from tests.settings import USAGE_CREDITS
from usage_credits import (
    HoldNotOpen,
    IdempotencyConflict,
    InsufficientCredits,
    InvalidAmount,
    InvalidOperation,
    InvalidValue,
    Operation,
)
from usage_credits.charging import Charge
from usage_credits.ledger.verification import verify
from usage_credits.models import Hold
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db

OPERATIONS: Any = USAGE_CREDITS["OPERATIONS"]
FREE = [*OPERATIONS, Operation("free", costs=0)]
HOUR = datetime.timedelta(hours=1)


class Broken(Exception):
    pass


def work(user: User) -> None:
    """Write something of the project's own."""
    User.objects.filter(pk=user.pk).update(first_name="worked")


def spend(user: User, operation: str, *acts: Callable[[Charge], Any], **options: Any) -> Charge:
    """Do the work and then `acts` in a block."""
    with user.spending_credits_on(operation, **options) as charge:
        work(user)
        for act in acts:
            act(charge)
    return charge


def fail(error: BaseException) -> Callable[[Charge], None]:
    def act(charge: Charge) -> None:
        raise error

    return act


def ask(amount: Any) -> Callable[[Charge], None]:
    def act(charge: Charge) -> None:
        charge.amount = amount

    return act


def worked(user: User) -> bool:
    return User.objects.get(pk=user.pk).first_name == "worked"


@pytest.mark.behaviour("SPD-08", "DEC-14")
def test_block_charges_after_the_work() -> None:
    user = make_user(100)
    with capture_events() as events:
        with user.spending_credits_on("img", mb=5, attributed_to="key_1", metadata={"a": 1}) as charge:
            assert (charge.amount, user.credits, charge.transaction) == (15, 85, None)
            work(user)
        row = charge.transaction
    assert row is not None
    assert (row.amount, row.category, row.attributed_to, row.hold) == (
        -15,
        "operation_charge",
        "key_1",
        charge.hold,
    )
    assert (row.metadata["operation"], row.metadata["cost"], row.metadata["metadata"]) == (
        "img",
        15,
        {"a": 1},
    )
    assert names(events) == ["hold_placed", "credits_deducted", "hold_captured"]
    assert (user.credits, amounts_of(user.wallet()), worked(user)) == (85, [100, -15], True)


@pytest.mark.behaviour("SPD-08", "DEC-14")
def test_work_and_charge_commit_together() -> None:
    user = make_user(100)
    with pytest.raises(InsufficientCredits):
        spend(user, "report", ask(101))
    assert not worked(user)
    assert (user.credits, amounts_of(user.wallet()), user.wallet().held) == (100, [100], 0)


@pytest.mark.behaviour("SPD-09", "DEC-14")
@pytest.mark.parametrize("error", [Broken("no"), KeyboardInterrupt(), StopIteration(1)], ids=repr)
def test_failed_work_is_not_charged(error: BaseException) -> None:
    user = make_user(100)
    with capture_events() as events:
        with pytest.raises(type(error)) as raised:
            spend(user, "report", fail(error))
        assert raised.value is error
    assert names(events) == ["hold_placed", "hold_released"]
    assert not worked(user)
    assert (user.credits, amounts_of(user.wallet()), user.wallet().held) == (100, [100], 0)


@pytest.mark.behaviour("SPD-10")
def test_work_that_drains_the_wallet_undoes_everything() -> None:
    user = make_user(100)
    with configured(OPERATIONS=[*OPERATIONS, Operation("sixty", costs=60)]):
        with pytest.raises(InsufficientCredits):
            spend(user, "sixty", lambda charge: user.wallet().debit(50))
        assert not worked(user)
        assert (user.credits, amounts_of(user.wallet())) == (100, [100])
        with pytest.raises(InsufficientCredits):
            spend(user, "report", lambda charge: user.wallet().debit(50), ask(60))
    assert (user.credits, amounts_of(user.wallet())) == (100, [100])


@pytest.mark.behaviour("SPD-10")
def test_work_does_not_start_without_credits() -> None:
    user = make_user(24)
    before = stored()
    with capture_events() as events, pytest.raises(InsufficientCredits), user.spending_credits_on("report"):
        pytest.fail("the work ran")
    assert stored() == before
    assert [(context.event, context.operation) for context in events] == [("insufficient_credits", "report")]


@pytest.mark.behaviour("SPD-12")
def test_free_work_runs_without_a_hold() -> None:
    user = make_user()
    before = stored()
    with configured(OPERATIONS=FREE), capture_events() as events:
        with user.spending_credits_on("free") as charge:
            work(user)
        assert user.hold_credits_for("free") is None
    assert (charge.hold, charge.transaction, events) == (None, None, [])
    assert worked(user)
    assert stored() == before
    other = make_user()
    with configured(OPERATIONS=FREE), pytest.raises(Broken):
        spend(other, "free", fail(Broken()))
    assert not worked(other)


def test_free_work_can_turn_out_to_cost_something() -> None:
    user = make_user(100)
    with configured(OPERATIONS=FREE), user.spending_credits_on("free") as charge:
        charge.amount = 5
    assert amounts_of(user.wallet()) == [100, -5]


def test_block_never_goes_below_zero() -> None:
    user = make_user(5)
    with configured(ALLOW_NEGATIVE_BALANCE=True), pytest.raises(InsufficientCredits):
        spend(user, "report")
    assert not worked(user)


@pytest.mark.parametrize(("amount", "rows"), [(10, [100, -10]), (60, [100, -60]), (0, [100])])
def test_block_charges_what_it_is_told_to(amount: int, rows: list[int]) -> None:
    user = make_user(100)
    with user.spending_credits_on("report") as charge:
        charge.amount = amount
    assert amounts_of(user.wallet()) == rows
    assert user.wallet().held == 0


@pytest.mark.parametrize("amount", [-1, 1.5, True, None, "5"], ids=repr)
def test_charge_refuses_what_is_no_amount(amount: Any) -> None:
    user = make_user(100)
    with pytest.raises(InvalidAmount), user.spending_credits_on("report") as charge:
        charge.amount = amount
    assert amounts_of(user.wallet()) == [100]


@pytest.mark.behaviour("SPD-15")
def test_decorated_function_returns_its_value_and_is_charged_for_each_call() -> None:
    user = make_user(100)

    @user.spending_credits_on("report")
    def render(pages: int, *, title: str) -> str:
        """Say what was rendered."""
        return f"{title}: {pages}"

    assert render(3, title="a") == "a: 3"
    assert render(4, title="b") == "b: 4"
    assert (render.__name__, render.__doc__) == ("render", "Say what was rendered.")
    assert amounts_of(user.wallet()) == [100, -25, -25]


def test_unknown_operation_and_bad_options_are_refused_before_the_work() -> None:
    user = make_user(100)
    with pytest.raises(InvalidOperation):
        user.spending_credits_on("teleport")
    for options in ({"ttl": 5}, {"idempotency_key": ""}, {"metadata": {"a": object()}}):
        with pytest.raises(InvalidValue), user.spending_credits_on("report", **options):
            pytest.fail("the work ran")
    with pytest.raises(InvalidOperation):
        user.hold_credits_for("img", mb=-1)
    assert not Hold.objects.exists()


def test_work_that_outlasts_its_hold_is_undone() -> None:
    user = make_user(100)
    with time_machine.travel("2026-01-01", tick=False) as clock:
        with pytest.raises(HoldNotOpen):
            spend(user, "report", lambda charge: clock.shift(HOUR), ttl=HOUR)
        assert (worked(user), user.credits, user.wallet().held) == (False, 100, 0)
        with user.spending_credits_on("report", ttl=HOUR) as charge:
            assert charge.hold
            charge.hold.extend(2 * HOUR)
            clock.shift(1.5 * HOUR)
    assert amounts_of(user.wallet()) == [100, -25]


def test_repeated_key_is_charged_once_and_a_failed_attempt_can_be_repeated() -> None:
    user = make_user(100)
    with pytest.raises(Broken), user.spending_credits_on("report", idempotency_key="job"):
        raise Broken
    with user.spending_credits_on("report", idempotency_key="job") as first:
        pass
    with user.spending_credits_on("report", idempotency_key="job") as again:
        assert again.transaction
        assert (again.transaction.replayed, again.hold) == (True, None)
    assert again.transaction == first.transaction
    with pytest.raises(IdempotencyConflict), user.spending_credits_on("mail", idempotency_key="job"):
        pytest.fail("the work ran")
    assert amounts_of(user.wallet()) == [100, -25]


def test_two_attempts_under_one_key_are_charged_once() -> None:
    user = make_user(100)
    with user.spending_credits_on("report", idempotency_key="job") as first:
        second = spend(user, "report", idempotency_key="job")
    assert first.transaction == second.transaction
    assert (amounts_of(user.wallet()), user.wallet().held) == ([100, -25], 0)


def test_hold_for_an_operation_charges_its_audit() -> None:
    user = make_user(100)
    held = user.hold_credits_for("img", mb=5, ttl=2 * HOUR, idempotency_key="job", attributed_to="key_1")
    assert held is not None
    again = user.hold_credits_for("img", mb=5, idempotency_key="job")
    assert again is not None
    assert (again, again.replayed) == (held, True)
    row = held.capture(7, final=True, metadata={"operation": "other", "tokens": 3})
    assert (row.amount, row.attributed_to, user.credits) == (-7, "key_1", 93)
    facts = row.metadata
    assert (facts["operation"], facts["cost"], facts["params"], facts["tokens"]) == ("img", 15, {"mb": 5}, 3)
    with capture_events() as events, pytest.raises(InsufficientCredits):
        user.hold_credits_for("img", mb=500)
    assert [(context.event, context.operation) for context in events] == [("insufficient_credits", "img")]


def test_block_inside_a_transaction_is_undone_with_it() -> None:
    user = make_user(100)
    before = stored()
    with transaction.atomic():
        spend(user, "report")
        transaction.set_rollback(True)
    assert stored() == before
    assert not worked(user)
    with transaction.atomic():
        with pytest.raises(Broken):
            spend(user, "report", fail(Broken()))
        assert not worked(user)
    assert user.wallet().held == 0


def outlast(charge: Charge) -> None:
    charge.outlasts_block = True


def test_charge_that_outlasts_its_block_waits_for_its_own_end() -> None:
    user = make_user(100)
    first, second, third = (spend(user, "report", outlast) for _ in range(3))
    assert (worked(user), amounts_of(user.wallet()), user.wallet().held) == (True, [100], 75)
    first.conclude()
    second.give_up()
    third.amount = 76
    with pytest.raises(InsufficientCredits):
        third.conclude()
    assert (amounts_of(user.wallet()), user.wallet().held) == ([100, -25], 0)
    with pytest.raises(Broken):
        spend(user, "report", outlast, fail(Broken()))
    assert (amounts_of(user.wallet()), user.wallet().held) == ([100, -25], 0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.behaviour("SPD-08", "SPD-09", "SPD-15", "DEC-14")
def test_async_block_holds_awaits_and_charges() -> None:
    user = make_user(100)

    async def act_in_block(act: Callable[[Charge], None]) -> None:
        async with user.spending_credits_on("report") as charge:
            await asyncio.sleep(0)
            act(charge)

    async def act() -> str:
        async with user.spending_credits_on("report") as charge:
            assert await sync_to_async(lambda: user.credits)() == 75
            await asyncio.sleep(0)
            charge.amount = 20
        with pytest.raises(Broken):
            await act_in_block(fail(Broken()))
        with pytest.raises(InsufficientCredits):
            await act_in_block(ask(500))

        @user.spending_credits_on("mail")
        async def send(to: str) -> str:
            await asyncio.sleep(0)
            return to

        return await send("ada")

    assert async_to_sync(act)() == "ada"
    assert (amounts_of(user.wallet()), user.wallet().held) == ([100, -20, -1], 0)
    assert list(verify()) == []

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection
from django.test import AsyncClient

from tests.app.models import User
from tests.factories import amounts_of, configured, make_user, names
from tests.settings import USAGE_CREDITS
from usage_credits import InsufficientCredits, InvalidValue, Operation, signals
from usage_credits.charging import Charge
from usage_credits.ledger.verification import verify
from usage_credits.models import Hold
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db

OPERATIONS: Any = USAGE_CREDITS["OPERATIONS"]


class Cancelling:
    """Cancels a task from within Django's thread, and goes on once the task knows."""

    def __init__(self) -> None:
        self.task: asyncio.Task[Any] | None = None
        self.times = 0

    def cancel(self) -> None:
        task = self.task
        assert task
        self.times += 1

        async def cancel() -> None:
            task.cancel()
            for _ in range(5):
                await asyncio.sleep(0)

        asyncio.run_coroutine_threadsafe(cancel(), task.get_loop()).result(timeout=30)

    @contextmanager
    def before(self, statement: str) -> Iterator[None]:
        """Cancel the task when a statement is about to be sent."""

        def send(execute: Any, sql: str, *args: Any) -> Any:
            if self.task and statement in sql:
                self.cancel()
            return execute(sql, *args)

        with connection.execute_wrapper(send):
            yield

    @contextmanager
    def after(self, signal: Any) -> Iterator[None]:
        """Cancel the task when something has been announced, which is after its commit."""

        def receive(**kwargs: Any) -> None:
            self.cancel()

        signal.connect(receive)
        try:
            yield
        finally:
            signal.disconnect(receive)


def in_block(user: User, *acts: Callable[[Charge], Awaitable[None]], **options: Any) -> None:
    """Charge a report around what `acts` await."""
    async_to_sync(_in_block)(user, *acts, **options)


async def _in_block(user: User, *acts: Callable[[Charge], Awaitable[None]], **options: Any) -> Charge:
    async with user.spending_credits_on("report", **options) as charge:
        for act in acts:
            await act(charge)
    return charge


def run_cancelled(user: User, cancelling: Cancelling, *acts: Callable[[Charge], Awaitable[None]]) -> None:
    """Run a block in a task that `cancelling` may cancel, and see it end as cancelled."""

    async def main() -> None:
        cancelling.task = asyncio.create_task(_in_block(user, *acts))
        with pytest.raises(asyncio.CancelledError):
            await cancelling.task

    async_to_sync(main)()


def assert_uncharged(user: User) -> None:
    assert (amounts_of(user.wallet()), user.wallet().held, user.credits) == ([100], 0, 100)
    assert not Hold.objects.filter(is_open=True).exists()
    assert list(verify()) == []


async def be_cancelled(charge: Charge) -> None:
    task = asyncio.current_task()
    assert task
    task.cancel()
    await asyncio.sleep(60)


@pytest.mark.behaviour("SPD-09", "DEC-14")
def test_cancelled_work_is_not_charged() -> None:
    user = make_user(100)
    with capture_events() as events:
        run_cancelled(user, Cancelling(), be_cancelled)
    assert names(events) == ["hold_placed", "hold_released"]
    assert_uncharged(user)


@pytest.mark.behaviour("SPD-09", "DEC-14")
def test_work_that_runs_out_of_time_is_not_charged() -> None:
    user = make_user(100)

    async def main() -> None:
        async with asyncio.timeout(0.05):
            await _in_block(user, lambda charge: asyncio.sleep(60))

    with pytest.raises(TimeoutError):
        async_to_sync(main)()
    assert_uncharged(user)


def inserting(table: str, cancelling: Cancelling) -> AbstractContextManager[None]:
    return cancelling.before(f"INSERT INTO {connection.ops.quote_name(table)}")


@pytest.mark.behaviour("SPD-09", "DEC-14")
@pytest.mark.parametrize(
    "table", ["usage_credits_hold", "usage_credits_transaction"], ids=["while holding", "while charging"]
)
def test_task_that_is_cancelled_at_the_ledger_is_not_charged(table: str) -> None:
    user, cancelling = make_user(100), Cancelling()
    with inserting(table, cancelling), capture_events() as events:
        run_cancelled(user, cancelling)
    assert cancelling.times == 1
    assert names(events) == ["hold_placed", "hold_released"]
    assert_uncharged(user)


def test_task_that_is_cancelled_twice_leaves_no_hold() -> None:
    user, cancelling = make_user(100), Cancelling()
    releasing = cancelling.before(f"UPDATE {connection.ops.quote_name('usage_credits_hold')}")
    with inserting("usage_credits_hold", cancelling), releasing:
        run_cancelled(user, cancelling)
    assert cancelling.times == 2
    assert_uncharged(user)


def test_free_work_that_is_cancelled_while_it_is_charged_costs_nothing() -> None:
    user, cancelling = make_user(100), Cancelling()

    async def block() -> None:
        async with user.spending_credits_on("free") as charge:
            charge.amount = 5

    async def main() -> None:
        cancelling.task = asyncio.create_task(block())
        with pytest.raises(asyncio.CancelledError):
            await cancelling.task

    free = configured(OPERATIONS=[*OPERATIONS, Operation("free", costs=0)])
    with free, inserting("usage_credits_transaction", cancelling):
        async_to_sync(main)()
    assert_uncharged(user)


def test_cancellation_of_a_refused_block_is_raised() -> None:
    user, cancelling = make_user(10), Cancelling()
    with cancelling.after(signals.insufficient_credits):
        run_cancelled(user, cancelling)
    assert (user.credits, Hold.objects.count()) == (10, 0)


def test_task_that_is_cancelled_before_its_turn_holds_nothing() -> None:
    user = make_user(100)

    async def main() -> None:
        turn = threading.Event()
        busy = asyncio.create_task(sync_to_async(turn.wait)(30))
        waiting = asyncio.create_task(_in_block(user))
        await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.sleep(0)
        turn.set()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await busy

    async_to_sync(main)()
    assert_uncharged(user)


@pytest.mark.django_db(transaction=True)
def test_charge_that_was_committed_stands_when_the_task_is_cancelled() -> None:
    user, cancelling = make_user(100), Cancelling()
    with cancelling.after(signals.credits_deducted):
        run_cancelled(user, cancelling)
    assert (amounts_of(user.wallet()), user.wallet().held) == ([100, -25], 0)
    assert list(verify()) == []


@pytest.mark.django_db(transaction=True)
def test_hold_that_was_committed_is_released_when_the_task_is_cancelled() -> None:
    user, cancelling = make_user(100), Cancelling()
    with cancelling.after(signals.hold_placed):
        run_cancelled(user, cancelling)
    assert_uncharged(user)


async def streamed(user: User) -> AsyncGenerator[str, None]:
    async with user.spending_credits_on("report"):
        yield "first"
        await asyncio.sleep(0)
        yield "second"


@pytest.mark.behaviour("SPD-08", "SPD-09")
def test_stream_is_charged_once_it_was_read_to_its_end() -> None:
    user = make_user(100)

    async def main() -> None:
        left = streamed(user)
        assert await anext(left) == "first"
        assert await user.acredits() == 75
        await left.aclose()
        assert await user.acredits() == 100
        assert [part async for part in streamed(user)] == ["first", "second"]

    async_to_sync(main)()
    assert (amounts_of(user.wallet()), user.wallet().held) == ([100, -25], 0)


@pytest.mark.behaviour("SPD-15")
def test_generator_cannot_be_charged_for_its_call() -> None:
    user = make_user(100)

    def numbers() -> Iterator[int]:
        yield 1

    async def texts() -> AsyncGenerator[str, None]:
        yield "a"

    for work in (numbers, texts):
        with pytest.raises(InvalidValue, match="generator") as refusal:
            user.spending_credits_on("report")(work)
        assert refusal.value.field == "work"
    assert_uncharged(user)


@pytest.mark.behaviour("SPD-15")
def test_tasks_of_one_loop_are_charged_each_for_itself() -> None:
    user = make_user(100)
    block = user.spending_credits_on("report")

    @block
    async def work(number: int) -> int:
        await asyncio.sleep(0.01 * number)
        return number

    @block
    async def fail() -> None:
        await asyncio.sleep(0.01)
        raise LookupError

    async def main() -> tuple[Any, ...]:
        return await asyncio.gather(work(2), fail(), work(1), return_exceptions=True)

    two, failure, one = async_to_sync(main)()
    assert (two, type(failure), one) == (2, LookupError, 1)
    assert (amounts_of(user.wallet()), user.wallet().held) == ([100, -25, -25], 0)


@pytest.mark.behaviour("SPD-11", "DEC-14")
def test_task_does_not_start_on_what_another_one_holds() -> None:
    user = make_user(40)

    async def main() -> list[Any]:
        working, done = asyncio.Event(), asyncio.Event()

        async def work(charge: Charge) -> None:
            working.set()
            await done.wait()

        first = asyncio.create_task(_in_block(user, work))
        await working.wait()
        with pytest.raises(InsufficientCredits):
            await _in_block(user)
        assert await user.acredits() == 15
        done.set()
        await first
        return [row.amount async for row in await user.acredit_history()]

    assert async_to_sync(main)() == [40, -25]


def test_repeated_key_is_charged_once() -> None:
    user = make_user(100)

    async def main() -> None:
        await asyncio.gather(*(_in_block(user, idempotency_key="job") for _ in range(3)))

    async_to_sync(main)()
    assert (amounts_of(user.wallet()), user.wallet().held) == ([100, -25], 0)


def test_long_work_extends_its_hold() -> None:
    user = make_user(100)

    async def extend(charge: Charge) -> None:
        assert charge.hold
        before = charge.hold.expires_at
        assert (await charge.hold.aextend()).expires_at > before

    in_block(user, extend)
    assert amounts_of(user.wallet()) == [100, -25]


@pytest.mark.django_db(transaction=True)
def test_async_views_charge() -> None:
    user = make_user(100)

    async def visit(*paths: str) -> list[tuple[int, Any]]:
        answers = [await AsyncClient().get(path.format(user.pk)) for path in paths]
        return [(answer.status_code, answer.json()) for answer in answers]

    assert async_to_sync(visit)("/spend/{}/", "/work/{}/", "/work/{}/?costs=30", "/work/{}/?fail") == [
        (200, {"charged": 25, "left": 75}),
        (200, {"charged": 25, "held": 25, "left": 50}),
        (200, {"charged": 30, "held": 25, "left": 20}),
        (402, {"available": 20}),
    ]
    user.give_credits(5)
    assert async_to_sync(visit)("/work/{}/?fail", "/spend/{}/", "/spend/{}/", "/work/{}/") == [
        (500, {"charged": 0, "left": 25}),
        (200, {"charged": 25, "left": 0}),
        (402, {"available": 0}),
        (402, {"available": 0}),
    ]
    assert amounts_of(user.wallet()) == [100, -25, -25, -30, 5, -25]
    assert list(verify()) == []

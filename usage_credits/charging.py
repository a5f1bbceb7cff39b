"""Charge around work: hold the price, run the work, charge it only where the work succeeded."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import Any, TypeVar, cast

from asgiref.sync import sync_to_async
from django.db import router, transaction

from usage_credits.dsl.operations import Quote
from usage_credits.exceptions import HoldNotOpen, IdempotencyConflict, InvalidValue
from usage_credits.ledger.debits import post_debit
from usage_credits.ledger.entries import DebitEntry
from usage_credits.ledger.holds import post_capture, post_hold, release
from usage_credits.ledger.keys import find_by_key
from usage_credits.ledger.uses import use_named_in
from usage_credits.models import Hold, Transaction, Wallet
from usage_credits.spending import ChargeOptions, audited_entry, quote_again
from usage_credits.values import check_amount

logger = logging.getLogger("usage_credits")

Work = TypeVar("Work", bound=Callable[..., Any])


class Charge:
    """What a block will be charged: `amount` credits once it ends well, by default the price.

    `hold` keeps the price meanwhile; None for free work, and where `idempotency_key` was used before: then
    `transaction` is there from the start, with `replayed` set, and nothing more will be charged.
    """

    def __init__(self, wallet: Wallet, quoted: Quote, ttl: timedelta | None, options: ChargeOptions) -> None:
        """Hold the price, in a transaction of its own or the caller's; raises InsufficientCredits."""
        entry = audited_entry(quoted, **options)
        self.transaction: Transaction | None = _find_charge(wallet, entry)
        self.hold: Hold | None = None
        self.outlasts_block = False
        self.using = router.db_for_write(Wallet, instance=wallet)
        self._wallet = wallet
        self._quoted = quoted
        self._options = options
        self._entry = entry
        self._amount = quoted.price
        self._is_used = False
        if quoted.price and self.transaction is None:
            # The key is the charge's: where the work fails, the next attempt may hold again.
            self.hold = post_hold(wallet, replace(entry, idempotency_key=None), ttl)

    @property
    def amount(self) -> int:
        """The credits that will be charged: set it to less or more than the price, or to 0 for nothing."""
        return self._amount

    @amount.setter
    def amount(self, amount: int) -> None:
        self._amount = check_amount(amount, minimum=0)

    def used(self, /, **params: Any) -> int:
        """Price the operation by what the work really used, and return this price; `amount` is it from now on.

        `params` are the operation's; those that are left out stay as they were. The charge then says what was used:
        its metadata, its tokens and what they cost the project. Say it again when more is known: the last word counts,
        and so does an `amount` that is set after it. Raises InvalidOperation; then all stays as it was.
        """
        self._quoted = quote_again(self._quoted, params)
        self._entry = audited_entry(self._quoted, **self._options)
        self._amount = self._quoted.price
        self._is_used = True
        return self._amount

    def settle(self) -> None:
        """Charge `amount` now; raises InsufficientCredits, HoldNotOpen where the work outlasted the hold."""
        if self.transaction is not None:
            return
        if self.hold is None:
            if self._amount:
                self.transaction = post_debit(self._wallet, self._owed())
            return
        if not self._amount:
            release(self.hold)
            return
        try:
            self.transaction = post_capture(self.hold, self._owed())
        except IdempotencyConflict:
            # Another attempt under the same key was charged while this one worked.
            self.transaction = _find_charge(self._wallet, self._entry)
            release(self.hold)

    def conclude(self, check: Callable[[], None] | None = None) -> None:
        """Settle in a transaction, with a last `check` before its commit; give up where either raises."""
        try:
            with transaction.atomic(using=self.using):
                self.settle()
                if check is not None:
                    check()
        except BaseException:
            self.give_up()
            raise

    def give_up(self) -> None:
        """Release the hold; where that fails, the hold's own end does it."""
        if self.hold is None:
            return
        self.transaction = None
        try:
            release(self.hold)
        except HoldNotOpen:
            pass
        except Exception:
            logger.exception("The hold %s could not be released; it ends by itself", self.hold.pk)

    def _owed(self) -> DebitEntry:
        """Return the debit of `amount`; what it counts of tokens and costs was estimated where another one was set."""
        is_known = self._is_used or self._amount == self._quoted.price
        use = self._entry.use if is_known else use_named_in(self._entry.metadata)
        return replace(self._entry, amount=self._amount, use=use)


class SpendingBlock:
    """Work that is charged where it succeeds: a context manager, an async one, and a decorator of either.

    Enter it once; the decorator opens a block of its own for each call and returns what the function returns.

    The async form holds, awaits the work, then charges, each in one step in Django's thread; it cannot undo what the
    work wrote. Where the task is cancelled before the charge is committed, the hold is released and nothing charged.
    """

    def __init__(
        self, find_wallet: Callable[[], Wallet], quoted: Quote, ttl: timedelta | None, options: ChargeOptions
    ) -> None:
        """Take the price as it was quoted; nothing is held before the block is entered."""
        self._find_wallet = find_wallet
        self._quoted = quoted
        self._ttl = ttl
        self._options = options
        self._block: AbstractContextManager[Charge] | None = None
        self._charge: Charge | None = None
        self._is_cancelled = False

    def __enter__(self) -> Charge:
        self._block = self._run()
        return self._block.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return cast("AbstractContextManager[Charge]", self._block).__exit__(kind, error, trace)

    async def __aenter__(self) -> Charge:
        try:
            await self._to_its_end(self._open)
        except asyncio.CancelledError:
            await self._to_its_end(self._give_up)
            raise
        return cast("Charge", self._charge)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            await self._to_its_end(self._give_up)
        elif not cast("Charge", self._charge).outlasts_block:
            await self._to_its_end(self._settle)

    def __call__(self, work: Work) -> Work:
        """Return `work` as a function that is charged for each call; raises InvalidValue for a generator function."""
        if inspect.isgeneratorfunction(work) or inspect.isasyncgenfunction(work):
            raise InvalidValue(
                "work", "got a generator, whose work comes after its call: open the block inside it."
            )

        @functools.wraps(work)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return work(*args, **kwargs)

        @functools.wraps(work)
        async def call_async(*args: Any, **kwargs: Any) -> Any:
            async with self._again():
                return await work(*args, **kwargs)

        return cast("Work", call_async if inspect.iscoroutinefunction(work) else call)

    def _again(self) -> SpendingBlock:
        return SpendingBlock(self._find_wallet, self._quoted, self._ttl, self._options)

    def _hold(self) -> Charge:
        return Charge(self._find_wallet(), self._quoted, self._ttl, self._options)

    @contextmanager
    def _run(self) -> Iterator[Charge]:
        charge = self._hold()
        try:
            with transaction.atomic(using=charge.using):
                yield charge
                if not charge.outlasts_block:
                    charge.settle()
        except BaseException:
            charge.give_up()
            raise

    def _open(self) -> None:
        self._charge = self._hold()

    def _settle(self) -> None:
        # The last moment at which it can be undone is before its commit.
        cast("Charge", self._charge).conclude(self._check_cancellation)

    def _check_cancellation(self) -> None:
        if self._is_cancelled:
            raise asyncio.CancelledError

    def _give_up(self) -> None:
        if self._charge is not None:
            self._charge.give_up()

    async def _to_its_end(self, step: Callable[[], None]) -> None:
        """Run a step in Django's thread; where the task is cancelled meanwhile, raise that after the step's end.

        A thread cannot be stopped, and what it would hold with nobody waiting for it, nobody would release.
        """
        cancellation: asyncio.CancelledError | None = None
        running = asyncio.ensure_future(sync_to_async(step)())
        while not running.done():
            try:
                await asyncio.wait([running])
            except asyncio.CancelledError as error:
                self._is_cancelled = True
                cancellation = error
        if cancellation is not None:
            raise cancellation from (None if running.cancelled() else running.exception())
        running.result()


def _find_charge(wallet: Wallet, entry: DebitEntry) -> Transaction | None:
    """Return what was charged before under the entry's key; raise IdempotencyConflict if it was something else."""
    found = find_by_key(wallet, entry.idempotency_key)
    if found is None:
        return None
    if found.amount > 0 or (found.category, found.operation) != (entry.category, entry.operation):
        raise IdempotencyConflict(
            f"The idempotency key {entry.idempotency_key!r} was used for {found.category} {found.amount:+d}, "
            f"now it is given for work on {entry.operation}."
        )
    return found

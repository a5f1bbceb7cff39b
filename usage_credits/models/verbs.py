"""The verbs of wallets and transactions, each handed down one line to the ledger that carries it out.

These mixins and `dsl/selling.py` hold the only imports that point upward. They are deferred because the ledger
imports the models.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack, cast, overload

from asgiref.sync import sync_to_async

from usage_credits.twins import twin_method

if TYPE_CHECKING:
    from usage_credits.exceptions import UsageCreditsError
    from usage_credits.ledger.account_statements import AccountStatement
    from usage_credits.ledger.batches import DebitItem, Mode
    from usage_credits.ledger.caps import CapStatus
    from usage_credits.ledger.credits import CreditOptions
    from usage_credits.ledger.debits import DebitOptions
    from usage_credits.ledger.dry_runs import DryRun
    from usage_credits.ledger.holds import CaptureOptions, HoldOptions
    from usage_credits.ledger.transfers import TransferOptions
    from usage_credits.models.cap import SpendingCap
    from usage_credits.models.hold import Hold
    from usage_credits.models.transaction import Transaction
    from usage_credits.models.transfer import Transfer
    from usage_credits.models.wallet import Wallet

Verb = TypeVar("Verb", bound=Callable[..., Any])


def _not_in_templates(verb: Verb) -> Verb:
    """Mark a verb that needs no arguments, so that a template which names it does not call it."""
    setattr(verb, "alters_data", True)  # noqa: B010 - functions declare no such attribute
    return verb


class WalletVerbs:
    """What one does with a wallet."""

    def credit(self, amount: int, **options: Unpack[CreditOptions]) -> Transaction:
        """Add `amount` credits as a new lot and return the transaction. See `usage_credits.ledger.credits.credit`."""
        from usage_credits.ledger.credits import credit

        return credit(cast("Wallet", self), amount, **options)

    def debit(self, amount: int, **options: Unpack[DebitOptions]) -> Transaction:
        """Take `amount` credits from the lots and return the transaction. See `usage_credits.ledger.debits.debit`."""
        from usage_credits.ledger.debits import debit

        return debit(cast("Wallet", self), amount, **options)

    @overload
    def debit_many(
        self, items: Iterable[DebitItem | int], *, mode: Literal["all"] = "all"
    ) -> list[Transaction]: ...
    @overload
    def debit_many(
        self, items: Iterable[DebitItem | int], *, mode: Mode
    ) -> Sequence[Transaction | UsageCreditsError]: ...
    def debit_many(
        self, items: Iterable[DebitItem | int], *, mode: Mode = "all"
    ) -> Sequence[Transaction | UsageCreditsError]:
        """Take many amounts under one lock, a result for each. See `usage_credits.ledger.batches.debit_many`."""
        from usage_credits.ledger.batches import debit_many

        return debit_many(cast("Wallet", self), items, mode=mode)

    def transfer_to(self, other: Wallet, amount: int, **options: Unpack[TransferOptions]) -> Transfer:
        """Move `amount` credits to `other` and return the transfer. See `usage_credits.ledger.transfers.transfer`."""
        from usage_credits.ledger.transfers import transfer

        return transfer(cast("Wallet", self), other, amount, **options)

    def hold(self, amount: int, **options: Unpack[HoldOptions]) -> Hold:
        """Reserve `amount` credits and return the hold. See `usage_credits.ledger.holds.hold`."""
        from usage_credits.ledger.holds import hold

        return hold(cast("Wallet", self), amount, **options)

    @property
    def balance(self) -> int:
        """Return the signed balance now, whatever it may be spent on; expired lots never count. One statement."""
        return self._balances()[0]

    @property
    def held(self) -> int:
        """Return the credits that open holds keep, read from the database in one statement."""
        return self._balances()[1]

    @property
    def available(self) -> int:
        """Return what can be spent now, never negative: the balance without what is held. One statement.

        Counts all credits, those too that only some operations may spend; see `available_for`.
        """
        balance, held = self._balances()
        return max(balance - held, 0)

    def available_for(self, operation: str | None = None) -> int:
        """Return what can be spent on `operation`, None: on any. See `usage_credits.ledger.balances.available_for`."""
        from usage_credits.ledger.balances import available_for

        return available_for(cast("Wallet", self), operation)

    def balance_at(self, moment: datetime.datetime) -> int:
        """Return the signed balance at `moment`. See `usage_credits.ledger.balances.balance_at`."""
        from usage_credits.ledger.balances import balance_at

        return balance_at(cast("Wallet", self), moment)

    def plan_debit(
        self, amount: int, *, operation: str | None = None, attributed_to: str | None = None
    ) -> DryRun:
        """Return what a debit of `amount` would do now. See `usage_credits.ledger.dry_runs.plan_debit`."""
        from usage_credits.ledger.dry_runs import plan_debit

        return plan_debit(cast("Wallet", self), amount, operation=operation, attributed_to=attributed_to)

    def set_cap(self, attributed_to: str, limit: int, *, every: Any) -> SpendingCap:
        """Let a key spend no more than `limit` in each window. See `usage_credits.ledger.caps.set_cap`."""
        from usage_credits.ledger.caps import set_cap

        return set_cap(cast("Wallet", self), attributed_to, limit, every=every)

    def remove_cap(self, attributed_to: str, every: Any = None) -> int:
        """Lift the caps of a key and return how many there were. See `usage_credits.ledger.caps.remove_cap`."""
        from usage_credits.ledger.caps import remove_cap

        return remove_cap(cast("Wallet", self), attributed_to, every)

    def caps(self, attributed_to: str | None = None) -> list[CapStatus]:
        """Return what the caps leave all keys, or one, now. See `usage_credits.ledger.caps.caps`."""
        from usage_credits.ledger.caps import caps

        return caps(cast("Wallet", self), attributed_to)

    def statement(
        self,
        *,
        since: datetime.datetime | datetime.date | None = None,
        until: datetime.datetime | datetime.date | None = None,
    ) -> AccountStatement:
        """Return the account of a period. See `usage_credits.ledger.account_statements.account_statement`."""
        from usage_credits.ledger.account_statements import account_statement

        return account_statement(cast("Wallet", self), since=since, until=until)

    def has_enough_balance(self, amount: Any) -> bool:
        """Tell whether a debit of `amount` can be paid now; False, never an error, for no whole number above 0.

        As `available_for()` it leaves out credits that only some operations may spend.
        """
        return type(amount) is int and 0 < amount <= self.available_for()

    acredit = twin_method(credit)
    adebit = twin_method(debit)
    adebit_many = twin_method(debit_many)
    atransfer_to = twin_method(transfer_to)
    ahold = twin_method(hold)
    aavailable_for = twin_method(available_for)
    aset_cap = twin_method(set_cap)
    aremove_cap = twin_method(remove_cap)
    acaps = twin_method(caps)
    abalance_at = twin_method(balance_at)
    aplan_debit = twin_method(plan_debit)
    astatement = twin_method(statement)
    ahas_enough_balance = twin_method(has_enough_balance)

    async def abalance(self) -> int:
        """Await `balance`, which is read in Django's thread."""
        return await sync_to_async(lambda: self.balance)()

    async def aheld(self) -> int:
        """Await `held`, which is read in Django's thread."""
        return await sync_to_async(lambda: self.held)()

    async def aavailable(self) -> int:
        """Await `available`, which is read in Django's thread."""
        return await sync_to_async(lambda: self.available)()

    def _balances(self) -> tuple[int, int]:
        from usage_credits.ledger.balances import balance_and_held

        return balance_and_held(cast("Wallet", self))


class HoldVerbs:
    """What one does with a hold."""

    @_not_in_templates
    def extend(
        self,
        ttl: datetime.timedelta | None = None,
        *,
        until: datetime.datetime | datetime.date | None = None,
    ) -> Hold:
        """Let the hold stay open for longer and return it. See `usage_credits.ledger.holds.extend`."""
        from usage_credits.ledger.holds import extend

        return extend(cast("Hold", self), ttl, until=until)

    @_not_in_templates
    def capture(self, amount: int | None = None, **options: Unpack[CaptureOptions]) -> Transaction:
        """Charge `amount`, by default all that is left, and return the debit. See `ledger.holds.capture`."""
        from usage_credits.ledger.holds import capture

        return capture(cast("Hold", self), amount, **options)

    @_not_in_templates
    def release(self) -> Hold:
        """Give back what the hold still keeps and return it. See `usage_credits.ledger.holds.release`."""
        from usage_credits.ledger.holds import release

        return release(cast("Hold", self))

    aextend = twin_method(extend)
    acapture = twin_method(capture)
    arelease = twin_method(release)


class TransactionVerbs:
    """What one does with a transaction and asks of it beyond its columns."""

    @_not_in_templates
    def reverse(self, *, reason: str | None = None) -> list[Transaction]:
        """Undo the row by rows of its own and return them. See `usage_credits.ledger.reversals.reverse`."""
        from usage_credits.ledger.reversals import reverse

        return reverse(cast("Transaction", self), reason=reason)

    areverse = twin_method(reverse)

    @property
    def description(self) -> str:
        """Return one line for people: what the row was for, in the wording of the FORMATTER setting."""
        from usage_credits.ledger.descriptions import describe

        return describe(cast("Transaction", self))

    @property
    def formatted_amount(self) -> str:
        """Return the signed amount for people, in the wording of the FORMATTER setting: "+100 credits"."""
        from usage_credits.ledger.descriptions import signed

        return signed(cast("Transaction", self).amount)

    @property
    def formatted_balance_after(self) -> str | None:
        """Return the balance after this transaction for people, in the same wording; None on a row not posted yet."""
        from usage_credits.ledger.descriptions import balance_after

        return balance_after(cast("Transaction", self))


class TransferVerbs:
    """What one does with a transfer."""

    @_not_in_templates
    def reverse(self, *, reason: str | None = None) -> list[Transaction]:
        """Undo both sides by rows of their own and return them. See `usage_credits.ledger.reversals`."""
        from usage_credits.ledger.reversals import reverse_transfer

        return reverse_transfer(cast("Transfer", self), reason=reason)

    areverse = twin_method(reverse)

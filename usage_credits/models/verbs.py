"""The verbs of wallets and transactions, each handed down one line to the ledger that carries it out.

These mixins and `dsl/selling.py` hold the only imports that point upward. They are deferred because the ledger
imports the models.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, Unpack, cast

if TYPE_CHECKING:
    from usage_credits.ledger.credits import CreditOptions
    from usage_credits.ledger.debits import DebitOptions
    from usage_credits.models.transaction import Transaction
    from usage_credits.models.wallet import Wallet


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

    @property
    def balance(self) -> int:
        """Return the signed balance now, read from the database in one statement; expired lots never count."""
        return self._balances()[0]

    @property
    def held(self) -> int:
        """Return the credits that open holds keep, read from the database in one statement."""
        return self._balances()[1]

    @property
    def available(self) -> int:
        """Return what can be spent now, never negative: the balance without what is held. One statement."""
        balance, held = self._balances()
        return max(balance - held, 0)

    def balance_at(self, moment: datetime.datetime) -> int:
        """Return the signed balance at `moment`. See `usage_credits.ledger.balances.balance_at`."""
        from usage_credits.ledger.balances import balance_at

        return balance_at(cast("Wallet", self), moment)

    def has_enough_balance(self, amount: Any) -> bool:
        """Tell whether `amount` can be spent now; False, never an error, for what is no whole number above 0."""
        return type(amount) is int and 0 < amount <= self.available

    def _balances(self) -> tuple[int, int]:
        from usage_credits.ledger.balances import balance_and_held

        return balance_and_held(cast("Wallet", self))


class TransactionVerbs:
    """What one asks of a transaction beyond its columns."""

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

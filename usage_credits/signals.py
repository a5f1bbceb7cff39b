"""What happened to a wallet, told to whoever listens.

The sender is the owner's model class and the one argument is `context`, an `EventContext`. Every event except
`insufficient_credits` is sent after the outermost commit, in the order in which things happened, by `send_robust`: a
receiver that raises is logged and hurts nobody else. A rolled-back operation sends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from django.dispatch import Signal

if TYPE_CHECKING:
    from django.db.models import Model

    from usage_credits.models import Fulfillment, Hold, Transaction, Transfer, Wallet

credits_added = Signal()
"""A transaction added credits: amount, previous_balance, new_balance, transaction, category, metadata."""

credits_deducted = Signal()
"""A transaction took credits: amount (positive), previous_balance, new_balance, transaction, category, metadata."""

credits_expired = Signal()
"""What was left of a lot expired and was booked, once a lot: amount, previous_balance, new_balance, transaction."""

low_balance_reached = Signal()
"""The balance went from above a threshold to it or below, once for each that a row crossed.

threshold (credits), previous_balance, new_balance; of a share of the last award also metadata (share, last_award).
"""

balance_depleted = Signal()
"""The balance went from above zero to exactly zero: previous_balance, new_balance."""

balance_recovered = Signal()
"""The balance rose above a threshold at or below which it had been: the fields of `low_balance_reached`."""

insufficient_credits = Signal()
"""Credits did not suffice; sent at once: amount, available, required, operation, metadata (the figures, params)."""

transfer_completed = Signal()
"""Credits moved to another wallet; wallet is the sender's: transfer, amount, category, metadata."""

hold_placed = Signal()
"""Credits were reserved: hold, amount."""

hold_captured = Signal()
"""A hold was charged: hold, amount, transaction."""

hold_released = Signal()
"""A hold gave back what it kept: hold, amount, reason."""

credit_pack_purchased = Signal()
"""A bought pack was awarded, once: amount (bonus included), transaction, fulfillment, metadata."""

credits_refunded = Signal()
"""A row took back what a refunded payment awarded: amount, transaction, category, fulfillment, metadata."""

subscription_credits_awarded = Signal()
"""A plan awarded credits: amount (the total), transaction (the last), fulfillment, reason, metadata."""

fulfillment_failed = Signal()
"""A payment or a due award could not be turned into credits: fulfillment where there is one, reason, metadata."""

recharge_succeeded = Signal()
"""An automatic recharge was paid: amount, transaction, metadata."""

recharge_failed = Signal()
"""An automatic recharge was declined: reason, metadata."""

ALL: dict[str, Signal] = {name: value for name, value in list(globals().items()) if isinstance(value, Signal)}
"""Every signal of this module by the name of its event."""


@dataclass(frozen=True, kw_only=True)
class EventContext:
    """One event: what happened, to whose wallet; fields that do not apply are None. Balances are signed."""

    event: str
    owner: Model | None
    wallet: Wallet | None
    amount: int | None = None
    previous_balance: int | None = None
    new_balance: int | None = None
    transaction: Transaction | None = None
    category: str | None = None
    metadata: Mapping[str, Any] | None = None
    threshold: int | None = None
    operation: str | None = None
    available: int | None = None
    required: int | None = None
    transfer: Transfer | None = None
    hold: Hold | None = None
    fulfillment: Fulfillment | None = None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields that apply."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

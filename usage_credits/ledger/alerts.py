"""Low balances: which thresholds the rows of a posting crossed, and how many credits each of them is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from usage_credits.dsl.categories import AWARDS
from usage_credits.dsl.thresholds import Share, Threshold
from usage_credits.models import Transaction

LOW: Final = "low_balance_reached"
RECOVERED: Final = "balance_recovered"


class Alerts:
    """The thresholds of a wallet while the rows of one posting are told of, in order."""

    def __init__(self, thresholds: Sequence[Threshold], last_award: int | None) -> None:
        """Start from what a pack or plan had awarded the wallet last before the posting."""
        self._thresholds = thresholds
        self._award = last_award
        self._first: Transaction | None = None

    def raised_by(
        self, row: Transaction, is_heard: Callable[[str], bool]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield what a row leads to: an event that `is_heard`, and the fields that say of which threshold it is.

        Going down the highest threshold comes first, going up the lowest. A share of an award that never came is no
        threshold. The posting with which a wallet begins lets nothing recover; to tell, one statement is sent where
        its balance had been 0.
        """
        if not self._thresholds:
            return
        self._first = self._first or row
        is_down = row.amount < 0
        event = LOW if is_down else RECOVERED
        crossed = self._crossed_by(row)
        if crossed and is_heard(event) and (is_down or not self._is_beginning()):
            for fields in sorted(crossed, key=lambda one: one["threshold"], reverse=is_down):
                yield event, fields

    def _crossed_by(self, row: Transaction) -> list[dict[str, Any]]:
        before = self._award
        if row.amount > 0 and row.category in AWARDS:
            self._award = row.amount
        crossed = []
        for threshold in self._thresholds:
            was, now = _credits(threshold, before), _credits(threshold, self._award)
            if was is None or now is None:
                continue
            falls = row.balance_after <= now < row.balance_before
            rises = row.amount > 0 and row.balance_before <= was and now < row.balance_after
            if falls or rises:
                crossed.append(_fields(threshold, now, self._award))
        return crossed

    def _is_beginning(self) -> bool:
        row = self._first
        if row is None or row.balance_before:
            return False
        rows = Transaction.objects.using(row._state.db).filter(wallet=row.wallet_id, pk__lt=row.pk)
        return not rows.exists()


def _credits(threshold: Threshold, award: int | None) -> int | None:
    return threshold.of(award) if isinstance(threshold, Share) else threshold


def _fields(threshold: Threshold, credits: int, award: int | None) -> dict[str, Any]:
    if isinstance(threshold, Share):
        return {"threshold": credits, "metadata": {"share": str(threshold), "last_award": award}}
    return {"threshold": credits}

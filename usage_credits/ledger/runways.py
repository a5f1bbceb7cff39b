"""Report how long the credits of a wallet last."""

from __future__ import annotations

import datetime

from django.db.models import Sum
from django.utils import timezone

from usage_credits.exceptions import InvalidValue
from usage_credits.ledger.balances import balance_and_held
from usage_credits.ledger.figures import figures, spent_between, wallets_to_report
from usage_credits.models import Wallet

LONGEST = 3_650
"""The most days of the past that a pace is measured over."""

_DAY, _SECOND = datetime.timedelta(days=1), datetime.timedelta(seconds=1)


def check_days(days: object) -> None:
    """Raise InvalidValue for what is no whole number (int) of days from 1 to 3650."""
    if type(days) is not int or not 1 <= days <= LONGEST:
        raise InvalidValue.of("days", days, f"a whole number (int) from 1 to {LONGEST}")


def runway(wallet: Wallet, days: int = 30) -> int | None:
    """Return for how many whole days the credits last at the pace of the last `days`; None where none were spent.

    Counted are those that can be spent now, on whatever. The pace is that of what `usage_summary` counts as spent
    since then, or since the wallet was created where that is later, but over a day at least. What expires or is
    awarded meanwhile is not foreseen. Two statements. Raises InvalidValue for `days` that are no whole number (int)
    from 1 to 3650, and WalletNotFound.
    """
    check_days(days)
    now = timezone.now()
    since = max(now - days * _DAY, min(wallet.created_at, now - _DAY))
    rows = figures(wallets_to_report(wallet=wallet)).filter(spent_between(since, None))
    spent = rows.aggregate(spent=-Sum("amount"))["spent"] or 0
    if spent <= 0:
        return None
    balance, held = balance_and_held(wallet)
    lasting: datetime.timedelta = now - since
    return int(max(balance - held, 0) * (lasting // _SECOND) // (int(spent) * (_DAY // _SECOND)))

"""Report what was spent: on what, by whom, on which day."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TypeVar

from django.db import models
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import TruncDate

from usage_credits.ledger.figures import figures, spent_between, wallets_to_report
from usage_credits.models import Wallet
from usage_credits.twins import twin
from usage_credits.values import check_text

Moment = datetime.datetime | datetime.date | None
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class UsageLine:
    """What was spent on one day (UTC) in one category, on one operation, under one key; `charges` counts debits."""

    day: datetime.date
    category: str
    operation: str | None
    attributed_to: str | None
    spent: int
    charges: int


@dataclass(frozen=True)
class UsageSummary:
    """What an owner spent, in lines by day, category, operation and key, and summed up by each."""

    lines: tuple[UsageLine, ...]

    @property
    def spent(self) -> int:
        """All of it."""
        return sum(line.spent for line in self.lines)

    @property
    def by_day(self) -> dict[datetime.date, int]:
        """By day in UTC, those with usage only."""
        return self._by(lambda line: line.day)

    @property
    def by_category(self) -> dict[str, int]:
        """By category."""
        return self._by(lambda line: line.category)

    @property
    def by_operation(self) -> dict[str | None, int]:
        """By the name of the operation, None for debits that charge none."""
        return self._by(lambda line: line.operation)

    @property
    def by_key(self) -> dict[str | None, int]:
        """By what the debits were attributed to, None for those that were not."""
        return self._by(lambda line: line.attributed_to)

    def _by(self, key: Callable[[UsageLine], Key]) -> dict[Key, int]:
        sums: defaultdict[Key, int] = defaultdict(int)
        for line in self.lines:
            sums[key(line)] += line.spent
        return dict(sums)


def usage_summary(
    owner: models.Model, *, since: Moment = None, until: Moment = None, asset: str | None = None
) -> UsageSummary:
    """Return what `owner` spent from `since` on and before `until` (aware datetimes, or dates: midnight UTC).

    Counts debits but expirations, transfers and what refunds took back. What was reversed is left out, as of the day
    it was charged. `asset` is the owner's default one unless given; without a wallet there are no lines. One
    statement, grouped by the database. Raises InvalidValue.
    """
    rows = figures(wallets_to_report(owner=owner, asset=asset)).filter(spent_between(since, until))
    lines = (
        rows.annotate(day=TruncDate("root_created_at", tzinfo=datetime.UTC))
        .values("day", "root_category", "root_operation", "root_key")
        .annotate(spent=-Sum("amount"), charges=Count("pk", filter=Q(reverses__isnull=True)))
        .filter(~Q(spent=0))
        .order_by("day", "root_category", "root_operation", "root_key")
        .values_list("day", "root_category", "root_operation", "root_key", "spent", "charges")
    )
    return UsageSummary(tuple(UsageLine(*line) for line in lines))


ausage_summary = twin(usage_summary)


def key_spend(
    key: str,
    *,
    owner: models.Model | None = None,
    wallet: Wallet | None = None,
    asset: str | None = None,
    since: Moment = None,
    until: Moment = None,
) -> int:
    """Return the credits of the debits that were attributed to `key`, less what was reversed of them.

    Of a wallet, of an owner's wallet, or of all wallets of `asset`; that reads the whole ledger, so name the owner
    where there is one. `since` and `until` are as of `usage_summary`. One statement. Raises InvalidValue.
    """
    wallets = wallets_to_report(owner=owner, wallet=wallet, asset=asset)
    rows = figures(wallets).filter(spent_between(since, until), Q(root_key=check_text(key, "key")))
    spent: int = rows.aggregate(spent=-Sum(F("amount")))["spent"] or 0
    return spent


akey_spend = twin(key_spend)

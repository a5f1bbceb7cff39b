"""Report what was spent: on what, with which model, by whom, on which day."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from django.db import models
from django.db.models import Count, F, Q, Sum
from django.db.models.functions import Coalesce, TruncDate

from usage_credits.dsl.token_prices import minor_units
from usage_credits.exceptions import InvalidValue
from usage_credits.ledger.figures import figures, spent_between, wallets_to_report
from usage_credits.ledger.local_dates import month_of
from usage_credits.models import Wallet
from usage_credits.twins import twin
from usage_credits.values import check_text

Moment = datetime.datetime | datetime.date | None
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class UsageLine:
    """What was spent on one day (UTC) in a category, on an operation, under a key, with a model, by a member.

    `charges` counts debits; `tokens` are those that were priced; `provider_cost` is what they cost the project, in the
    minor unit of `provider_currency` (cents).
    """

    day: datetime.date
    category: str
    operation: str | None
    attributed_to: str | None
    spent: int
    charges: int
    model: str | None = None
    member: str | None = None
    tokens: int = 0
    provider_cost: Decimal = Decimal(0)
    provider_currency: str | None = None


@dataclass(frozen=True)
class UsageSummary:
    """What an owner spent, in lines by day, category, operation, key, model and member, and summed up by each."""

    lines: tuple[UsageLine, ...]

    @property
    def spent(self) -> int:
        """All of it."""
        return sum(line.spent for line in self.lines)

    @property
    def tokens(self) -> int:
        """The tokens of every kind that were charged for."""
        return sum(line.tokens for line in self.lines)

    @property
    def provider_costs(self) -> dict[str, Decimal]:
        """What it cost the project, in the minor unit of each currency: {"usd": Decimal("1.56")} is 1.56 cents."""
        sums: defaultdict[str, Decimal] = defaultdict(Decimal)
        for line in self.lines:
            if line.provider_currency is not None:
                sums[line.provider_currency] += line.provider_cost
        return dict(sums)

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

    @property
    def by_model(self) -> dict[str | None, int]:
        """By the parameter `model` of the operation, None for charges without one."""
        return self._by(lambda line: line.model)

    @property
    def by_member(self) -> dict[str | None, int]:
        """By the parameter `member` of the operation, None for charges without one."""
        return self._by(lambda line: line.member)

    def _by(self, key: Callable[[UsageLine], Key]) -> dict[Key, int]:
        sums: defaultdict[Key, int] = defaultdict(int)
        for line in self.lines:
            sums[key(line)] += line.spent
        return dict(sums)


_GROUPED = ("root_category", "root_operation", "root_key", "root_model", "root_member", "root_currency")


def usage_summary(
    owner: models.Model,
    *,
    since: Moment = None,
    until: Moment = None,
    month: Moment = None,
    asset: str | None = None,
) -> UsageSummary:
    """Return what `owner` spent from `since` on and before `until` (aware datetimes, or dates: midnight UTC).

    Or in the calendar month of the date or datetime `month`, from its first midnight on in the current time zone.
    Counts debits but expirations, transfers and what refunds took back. What was reversed is left out, with its tokens
    and its provider's cost, as of the day it was charged. `asset` is the owner's default one unless given; without a
    wallet there are no lines. One statement, grouped by the database. Raises InvalidValue.
    """
    if month is not None:
        if since is not None or until is not None:
            raise InvalidValue("month", "give either a month, or since and until.")
        since, until = month_of(month)
    rows = figures(wallets_to_report(owner=owner, asset=asset)).filter(spent_between(since, until))
    lines = (
        rows.annotate(day=TruncDate("root_created_at", tzinfo=datetime.UTC))
        .values("day", *_GROUPED)
        .annotate(
            spent=-Sum("amount"),
            charges=Count("pk", filter=Q(reverses__isnull=True)),
            counted=Coalesce(Sum("tokens"), 0),
            nanos=Coalesce(Sum("provider_cost_nanos"), 0),
        )
        .exclude(spent=0, counted=0, nanos=0)
        .order_by("day", *_GROUPED)
        .values_list("day", *_GROUPED, "spent", "charges", "counted", "nanos")
    )
    return UsageSummary(tuple(_line(*line) for line in lines))


def _line(
    day: datetime.date,
    category: str,
    operation: str | None,
    key: str | None,
    model: str | None,
    member: str | None,
    currency: str | None,
    *sums: int,
) -> UsageLine:
    spent, charges, tokens, nanos = map(int, sums)
    cost = minor_units(nanos)
    return UsageLine(day, category, operation, key, spent, charges, model, member, tokens, cost, currency)


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

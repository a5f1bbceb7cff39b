from __future__ import annotations

import pytest

from usage_credits.dsl.periods import Period
from usage_credits.statements.periods import every


@pytest.mark.parametrize(
    ("period", "text"),
    [
        ("day", "every day"),
        ("10 days", "every 10 days"),
        ("week", "every week"),
        ("14 days", "every 2 weeks"),
        ("month", "every month"),
        ("quarter", "every 3 months"),
        ("12 months", "every year"),
        ("2 years", "every 2 years"),
        ("P1M15D", "every P1M15D"),
        ("15 minutes", "every PT15M"),
    ],
)
def test_period_is_told_in_words(period: str, text: str) -> None:
    assert every(Period.parse(period)) == text

"""Count the statements that calls send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from usage_credits.ledger.changes import MOST_AT_ONCE


def count_statements(action: Callable[[], Any]) -> int:
    """Return how many statements `action` sends, BEGIN and COMMIT included."""
    with CaptureQueriesContext(connection) as captured:
        action()
    return len(captured)


def sent(statements: int, *, together: int, rows: int = 1) -> int:
    """Return what `statements` come to: PostgreSQL takes `together` of them as one, unless they write many rows."""
    is_one = connection.vendor == "postgresql" and rows <= MOST_AT_ONCE // 4
    return statements - together + 1 if is_one else statements

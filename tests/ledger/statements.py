"""Count the statements that calls send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext


def count_statements(action: Callable[[], Any]) -> int:
    """Return how many statements `action` sends, BEGIN and COMMIT included."""
    with CaptureQueriesContext(connection) as captured:
        action()
    return len(captured)


def sent(statements: int, *, together: int) -> int:
    """Return what `statements` come to where PostgreSQL takes `together` of them, which write, as one."""
    return statements - together + 1 if connection.vendor == "postgresql" else statements

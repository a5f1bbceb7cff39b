"""Credits in Celery: the jobs as tasks, and tasks that are charged."""

from __future__ import annotations

from usage_credits.contrib.celery.charged_tasks import charged_task
from usage_credits.contrib.celery.jobs import (
    expire_credits,
    fulfill_credits,
    recharge_credits,
    recharge_when_due,
    verify_credits,
)

__all__ = [
    "charged_task",
    "expire_credits",
    "fulfill_credits",
    "recharge_credits",
    "recharge_when_due",
    "verify_credits",
]

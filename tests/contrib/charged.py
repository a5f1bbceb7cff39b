"""Charged tasks, as a project declares them."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from celery import current_task

from tests.app.models import User
from tests.contrib.project import app
from usage_credits.contrib.celery import charged_task


def user_of(user_id: int, *_: object, **__: object) -> User:
    return User.objects.get(pk=user_id)


def megabytes(user_id: int, mb: int = 5, **_: Any) -> dict[str, Any]:
    return {"mb": mb}


@app.task(name="tests.render")
@charged_task("img", owner=user_of, params=megabytes)
def render(
    user_id: int, mb: int = 5, fail: bool = False, amount: int | None = None, used: int | None = None
) -> dict[str, Any]:
    """Write, and cost what is asked for, or fail."""
    user = user_of(user_id)
    User.objects.filter(pk=user_id).update(first_name="rendered")
    charge = current_task.request.credit_charge
    if amount is not None:
        charge.amount = amount
    if used is not None:
        charge.used(mb=used)
    if fail:
        raise LookupError
    return {"held": user.wallet().held, "replayed": charge.transaction is not None}


@app.task(name="tests.retry", bind=True, acks_late=True, reject_on_worker_lost=True, max_retries=5)
@charged_task("report", owner=user_of)
def fail_twice(self: Any, user_id: int) -> int:
    """Ask to be run again, twice."""
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    return int(self.request.retries)


@app.task(name="tests.die", acks_late=True, reject_on_worker_lost=True)
@charged_task("report", owner=user_of, attributed_to="worker")
def die_once(user_id: int) -> str:
    """Be killed in the middle of the work, the first time."""
    mark = Path(os.environ["DEATH_MARK"])
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


@app.task(name="tests.order")
@charged_task("report", owner=user_of, idempotency_key=lambda user_id, order: f"order:{order}")
def fulfill_order(user_id: int, order: int) -> int:
    return order

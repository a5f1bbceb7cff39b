"""The same app for a worker that dies in the middle of its second batch, once, by a signal that cannot be caught.

DOOMED says who: the `pool` process that does the work, or the `worker` with all its processes.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery.signals import task_prerun
from django.db import connection

from tests.contrib.project import app as app

_posted = 0


def _die_in_the_second_batch(
    call: Callable[..., Any], sql: str, params: Any, many: bool, context: Any
) -> Any:
    global _posted
    result = call(sql, params, many, context)
    if "INSERT INTO" in sql and "usage_credits_transaction" in sql:
        _posted += 1
        mark = Path(os.environ["DEATH_MARK"])
        if _posted == 2 and not mark.exists():
            mark.touch()
            if os.environ["DOOMED"] == "worker":
                os.killpg(0, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
    return result


@task_prerun.connect
def watch(**_: object) -> None:
    if _die_in_the_second_batch not in connection.execute_wrappers:
        connection.execute_wrappers.append(_die_in_the_second_batch)

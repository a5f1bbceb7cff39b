from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.conf import settings

from tests.contrib.redis_server import redis_server
from tests.contrib.waiting import make_due, make_expired
from tests.databases import child_environment
from tests.factories import amounts_of, make_user
from usage_credits.ledger.verification import verify
from usage_credits.models import Wallet

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

SECONDS = 60
"""How long is waited for what takes a few."""


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with redis_server() as url:
        yield url


@pytest.fixture
def client(broker: str) -> Iterator[Celery]:
    """Return the side that sends: it knows the tasks by their names only, as a scheduler does."""
    with Celery("client", broker=broker, backend=broker, set_as_current=False) as client:
        yield client
        client.control.purge()
        client.backend.result_consumer.stop()
        client.backend.client.close()


class Workers:
    """Worker processes, and where each writes its log."""

    def __init__(self, broker: str, folder: Path, stack: ExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.environment = {
            **child_environment(),
            "BROKER_URL": broker,
            "DEATH_MARK": str(folder / "died"),
            "DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE,
        }

    def start(self, app: str, doomed: str = "", processes: int = 1) -> subprocess.Popen[bytes]:
        """Start a worker with so many processes for the work, in a process group of its own."""
        log = self.folder / f"{app}.log"
        command = [sys.executable, "-m", "celery", "-A", app, "worker", "-n", app, "-l", "INFO"]
        command += ["--concurrency", str(processes)]
        environment = {**self.environment, "DOOMED": doomed}
        with log.open("wb") as output:
            worker = subprocess.Popen(
                command, env=environment, stdout=output, stderr=output, start_new_session=True
            )
        self.stack.callback(end, worker)
        return worker

    def wait_until_ready(self) -> None:
        """Wait until all that were started take messages."""
        deadline = time.monotonic() + SECONDS
        for log in self.folder.glob("*.log"):
            while b" ready." not in log.read_bytes():
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)


def end(worker: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()


@pytest.fixture
def workers(broker: str, tmp_path: Path) -> Iterator[Workers]:
    with ExitStack() as stack:
        yield Workers(broker, tmp_path, stack)


def finish(client: Celery, name: str, *, times: int = 1, **arguments: Any) -> list[dict[str, int]]:
    """Send a task that sends others so many times, and return what came of those once all have ended."""
    plans = [client.send_task(name, kwargs=arguments) for _ in range(times)]
    for plan in plans:
        plan.get(timeout=SECONDS)
    return [part.get(timeout=SECONDS) for plan in plans for part in plan.children]


def rows_of_each(wallets: list[Wallet]) -> set[tuple[int, ...]]:
    """Return the histories of the wallets, each only once, after a proof of the ledger."""
    assert list(verify()) == []
    return {tuple(amounts_of(wallet)) for wallet in wallets}


@pytest.mark.parametrize(
    ("job", "make", "rows"),
    [
        ("usage_credits.fulfill_credits", make_due, (70,)),
        ("usage_credits.expire_credits", make_expired, (5, 10, -10)),
    ],
    ids=["fulfill", "expire"],
)
def test_killed_worker_leaves_to_another_what_it_had_begun(
    client: Celery, workers: Workers, job: str, make: Callable[[int], list[Wallet]], rows: tuple[int, ...]
) -> None:
    doomed = workers.start("tests.contrib.doomed", "worker")
    survivor = workers.start("tests.contrib.project")
    wallets = make(60)
    workers.wait_until_ready()

    parts = finish(client, job, shards=6, batch_size=4)

    assert doomed.wait(SECONDS) == -signal.SIGKILL
    assert len(parts) == 6
    assert rows_of_each(wallets) == {rows}
    survivor.terminate()
    assert survivor.wait(SECONDS) == os.EX_OK


def test_ranges_sent_twice_are_booked_once_though_a_process_is_killed(
    client: Celery, workers: Workers
) -> None:
    workers.start("tests.contrib.doomed", "pool", processes=2)
    wallets = make_expired(40)
    workers.wait_until_ready()

    parts = finish(client, "usage_credits.expire_credits", times=2, shards=4, batch_size=2)

    assert Path(workers.environment["DEATH_MARK"]).exists()
    assert len(parts) == 2 * 4
    assert rows_of_each(wallets) == {(5, 10, -10)}


def test_retried_and_redelivered_tasks_are_charged_once(client: Celery, workers: Workers) -> None:
    workers.start("tests.contrib.charging", processes=2)
    user, other = make_user(25), make_user(50)
    workers.wait_until_ready()

    retried = client.send_task("tests.retry", args=[user.pk])
    died = client.send_task("tests.die", args=[other.pk])

    assert (retried.get(timeout=SECONDS), died.get(timeout=SECONDS)) == (2, "done")
    assert Path(workers.environment["DEATH_MARK"]).exists()
    assert (amounts_of(user.wallet()), user.wallet().held) == ([25, -25], 0)
    # The hold of the process that was killed goes on until its own end.
    assert (amounts_of(other.wallet()), other.wallet().held) == ([50, -25], 25)
    keys = [row.idempotency_key for owner in (user, other) for row in owner.credit_history]
    assert keys == [None, retried.id, None, died.id]
    assert list(verify()) == []

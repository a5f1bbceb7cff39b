from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from contextlib import closing
from http.client import HTTPException
from pathlib import Path

import pytest
import time_machine

from tests.app.models import User
from tests.concurrency.processes import run_together
from tests.concurrency.servers import GUNICORN, SECONDS, UVICORN, connect, send, serving
from tests.factories import amounts_of, make_user
from tests.gates.visiting import has_run, signed_in
from usage_credits.ledger.verification import verify
from usage_credits.models import Hold

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

REQUESTS, PROCESSES, THREADS = 2_000, 4, 5

SERVERS = pytest.mark.parametrize(
    ("server", "suffix"), [(GUNICORN, ""), (UVICORN, "async/")], ids=["gunicorn", "uvicorn"]
)


def session_of(user: User) -> str:
    return signed_in(user).cookies["sessionid"].value


@pytest.mark.behaviour("TOK-02", "TOK-14")
@SERVERS
def test_as_many_requests_run_as_the_wallet_can_pay_for(
    server: tuple[str, ...], suffix: str, tmp_path: Path
) -> None:
    user = make_user(100 * 25)
    times = REQUESTS // (PROCESSES * THREADS)
    with serving(server, tmp_path) as port:
        visitor = (port, f"/charge/counted/{suffix}", session_of(user), THREADS, times)
        outcomes = run_together("tests.concurrency.work:post_together", [visitor] * PROCESSES)

    done: Counter[str] = sum((Counter(outcome) for outcome in outcomes), Counter())
    assert done == {"200": 100, "402 insufficient-credits: 25 required, 0 available": REQUESTS - 100}
    assert len((tmp_path / "ran").read_text().splitlines()) == 100
    assert amounts_of(user.wallet()) == [2_500] + [-25] * 100
    assert (user.wallet().balance, user.wallet().held) == (0, 0)
    assert not Hold.objects.filter(is_open=True).exists()
    assert list(verify()) == []


@pytest.mark.behaviour("TOK-14", "DEC-14")
@SERVERS
def test_worker_that_is_killed_in_a_view_charges_nothing(
    server: tuple[str, ...], suffix: str, tmp_path: Path
) -> None:
    user = make_user(50)
    session, answers = session_of(user), []
    with serving(server, tmp_path) as port:

        def visit(path: str) -> None:
            with closing(connect(port)) as connection:
                try:
                    answers.append(send(connection, "POST", path, session).status)
                except (HTTPException, ConnectionError):
                    answers.append(0)

        stuck = threading.Thread(target=visit, args=[f"/charge/stuck/{suffix}"])
        stuck.start()
        os.kill(stuck_in(tmp_path), signal.SIGKILL)
        stuck.join()
        assert (user.credits, user.wallet().held) == (25, 25)
        # The other workers go on.
        for _ in range(2):
            visit(f"/charge/counted/{suffix}")

    assert answers == [0, 200, 402]
    assert (amounts_of(user.wallet()), user.wallet().held, user.credits) == ([50, -25], 25, 0)
    assert not has_run(user)
    with time_machine.travel(Hold.objects.get(is_open=True).expires_at):
        user.spend_credits_on("report")
    assert (amounts_of(user.wallet()), user.wallet().held, user.credits) == ([50, -25, -25], 0, 0)
    assert not Hold.objects.filter(is_open=True).exists()
    assert list(verify()) == []


def stuck_in(folder: Path) -> int:
    """Return the process in which a view is stuck, once it is."""
    trace, deadline = folder / "stuck", time.monotonic() + SECONDS
    while not (trace.exists() and trace.read_text().endswith("\n")):
        assert time.monotonic() < deadline, "no view ran"
        time.sleep(0.01)
    return int(trace.read_text())

"""Servers of the kinds that projects run, as processes of their own with several workers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

from django.conf import settings

from tests.databases import child_environment

WORKERS = 4
SECONDS = 60
"""How long is waited for what takes a few."""

GUNICORN = (
    "gunicorn",
    "django.core.wsgi:get_wsgi_application()",
    *("--worker-class", "gthread", "--threads", "4", "--workers", str(WORKERS)),
    *("--keep-alive", str(SECONDS), "--bind", "fd://{}"),
)
UVICORN = (
    "uvicorn",
    "django.core.asgi:get_asgi_application",
    *("--factory", "--lifespan", "off", "--workers", str(WORKERS)),
    *("--timeout-keep-alive", str(SECONDS), "--fd", "{}"),
)


@contextmanager
def serving(command: tuple[str, ...], folder: Path) -> Iterator[int]:
    """Run a server of the tests' project and yield its port on 127.0.0.1 once it answers.

    Its views leave their traces in `folder`. What it prints is printed again when it has ended, for a test that fails.
    """
    log = folder / "server.log"
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening, log.open("wb") as output:
        port, handle = listening.getsockname()[1], listening.fileno()
        server = subprocess.Popen(
            [sys.executable, "-m", *(part.format(handle) for part in command)],
            env={
                **child_environment(),
                "DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE,
                "TRACES": str(folder),
            },
            stdout=output,
            stderr=output,
            pass_fds=[handle],
            start_new_session=True,
        )
    try:
        with closing(connect(port)) as connection:
            # It waits in the queue of the socket; where the server ends before it listens, this is refused.
            assert send(connection, "GET", "/told/").status == 200
        yield port
    finally:
        end(server)
        print(log.read_text())  # noqa: T201 - pytest shows it where the test fails


def end(server: subprocess.Popen[bytes]) -> None:
    """Let the server end, and whatever it has started."""
    server.terminate()
    with suppress(subprocess.TimeoutExpired):
        server.wait(10)
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()


def connect(port: int) -> HTTPConnection:
    """Return a connection that is kept alive from one request to the next."""
    return HTTPConnection("127.0.0.1", port, timeout=SECONDS)


def send(connection: HTTPConnection, method: str, path: str, session: str = "") -> HTTPResponse:
    """Send a request of a program that is signed in by a session; the caller reads the answer."""
    headers = {"Host": "localhost", "Accept": "application/json", "Cookie": f"sessionid={session}"}
    connection.request(method, path, headers=headers)
    return connection.getresponse()

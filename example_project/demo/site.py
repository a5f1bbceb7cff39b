"""The studio's server, as `manage.py runserver` in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

MANAGE = Path(__file__).resolve().parent.parent / "manage.py"
_ADDRESS = re.compile(r"at (http://\S+?)/?$")
_START_TIMEOUT = 60


class SiteFailed(Exception):
    """The server did not start; the text is what it said."""


class Site:
    """The running site; `url` is known once it listens. `port` 0 takes a free one."""

    def __init__(self, *, stripe_url: str, port: int = 0) -> None:
        self.url = ""
        self.output: list[str] = []
        self._echo = False
        self._has_ended = False
        self._heard = threading.Condition()
        self._environment = {
            **os.environ,
            "STRIPE_API_HOST": stripe_url,
            "PYTHONUNBUFFERED": "1",
            "NO_PROXY": "*",
        }
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, this project
            [sys.executable, str(MANAGE), "runserver", "--noreload", f"127.0.0.1:{port}"],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, name="site-output", daemon=True)

    def __enter__(self) -> Site:
        self._reader.start()
        with self._heard:
            self._heard.wait_for(lambda: self.url or self._has_ended, _START_TIMEOUT)
        if not self.url:
            self._stop()
            raise SiteFailed("\n".join(self.output) or "The site said nothing.")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def has_crashed(self) -> bool:
        """Tell whether an error went through to the server, or ended it."""
        return self._process.poll() is not None or any(
            line.startswith("Internal Server Error") for line in self.output
        )

    def has_said(self, text: str, timeout: float = 10) -> bool:
        """Wait until a line of the server's output contains `text`; tell whether one did within `timeout` seconds."""
        with self._heard:
            return self._heard.wait_for(lambda: any(text in line for line in self.output), timeout)

    def run(self, command: str) -> str:
        """Run a command of manage.py where the server runs, as cron does, and return what it prints."""
        done = subprocess.run(  # noqa: S603 - this interpreter, this project
            [sys.executable, str(MANAGE), command],
            env=self._environment,
            check=True,
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        return done.stdout.strip()

    def wait(self) -> None:
        """Show what the server says until it ends or this is interrupted."""
        self._echo = True
        self._process.wait()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            with self._heard:
                self.output.append(line.rstrip())
                if not self.url and (found := _ADDRESS.search(line.rstrip())):
                    self.url = found[1]
                self._heard.notify_all()
            if self._echo:
                print(line, end="", flush=True)
        with self._heard:
            self._has_ended = True
            self._heard.notify_all()

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(timeout=10)
        if self._process.stdout:
            self._process.stdout.close()

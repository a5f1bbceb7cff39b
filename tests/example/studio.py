"""Run the example project as a person does: its commands, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from django.db import connection

from tests.plugins import pytest_options

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE = REPOSITORY / "example_project"
TIMEOUT = 120


@dataclass(frozen=True)
class Studio:
    """The example with a database and a folder of its own."""

    database_url: str
    folder: Path

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start `manage.py` with these arguments; its output and errors come in one stream."""
        return self._start(str(EXAMPLE / "manage.py"), *command)

    def run(self, *command: str) -> tuple[int, str]:
        """Return the exit code and the output of `manage.py` with these arguments."""
        return self._finish(self.start(*command))

    def run_tests(self) -> tuple[int, str]:
        """Return the exit code and the output of the example's own tests."""
        return self._finish(self._start("-m", "pytest", "-q", *pytest_options()))

    def moved_to(self, folder: Path) -> Studio:
        return replace(self, folder=folder)

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        environment = {
            **os.environ,
            "DATABASE_URL": self.database_url,
            "STUDIO_DATA": str(self.folder),
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONUNBUFFERED": "1",
        }
        # This suite's own settings, which are not the example's.
        for name in ("DJANGO_SETTINGS_MODULE", "PYTEST_ADDOPTS"):
            environment.pop(name, None)
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=EXAMPLE,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _finish(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        with process:
            try:
                output, _nothing = process.communicate(timeout=TIMEOUT)
            except BaseException:
                process.terminate()
                raise
        return process.returncode, output


@contextmanager
def new_database(folder: Path) -> Iterator[str]:
    """Create a database for the example on the server that this run uses; yield its URL, and drop it."""
    if connection.vendor == "sqlite":
        yield f"sqlite:///{folder / 'studio.sqlite3'}"
        return
    name = f"studio_{os.getpid()}"
    charset = " CHARACTER SET utf8mb4" if connection.vendor == "mysql" else ""
    with connection._nodb_cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}{charset}")
    try:
        yield urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}"))
    finally:
        with connection._nodb_cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name}")

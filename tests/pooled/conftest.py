from __future__ import annotations

import os
import pwd
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connections
from django.test import override_settings

POOLED = [alias for alias in connections if alias != "default"]


@pytest.fixture(scope="session")
def pgbouncer(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Run PgBouncer in transaction mode before the tests' server, with fewer connections than threads ask for."""
    server, front = connections["default"].settings_dict, connections["pgbouncer"].settings_dict
    folder = tmp_path_factory.mktemp("pgbouncer")
    (folder / "users").write_text(f'"{server["USER"]}" "{server["PASSWORD"]}"\n')
    (folder / "pgbouncer.ini").write_text(
        f"""
        [databases]
        * = host={server["HOST"]} port={server["PORT"] or 5432}
        [pgbouncer]
        pool_mode = transaction
        default_pool_size = 3
        listen_addr = {front["HOST"]}
        listen_port = {front["PORT"]}
        unix_socket_dir =
        auth_type = trust
        auth_file = {folder / "users"}
        """
    )
    # It refuses to run as root.
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        for path in (folder, *folder.iterdir()):
            os.chown(path, pwd.getpwnam(user).pw_uid, -1)
        for path in (folder.parent, folder.parent.parent):
            path.chmod(0o755)
    command = [os.environ["PGBOUNCER"], "--quiet", str(folder / "pgbouncer.ini")]
    with (folder.parent / "pgbouncer.log").open("w") as log:
        process = subprocess.Popen(command, user=user, stdout=log, stderr=log)
    try:
        _wait_for(process, front["PORT"], Path(log.name))
        yield
    finally:
        process.terminate()
        process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    while True:
        assert process.poll() is None, log.read_text()
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)


@pytest.fixture(params=POOLED)
def pool(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[str]:
    """Route everything to a pooled database and return its alias."""
    alias: str = request.param
    if alias == "pgbouncer":
        request.getfixturevalue("pgbouncer")
    Pooled.alias = alias
    with override_settings(DATABASE_ROUTERS=["tests.pooled.conftest.Pooled"]):
        yield alias
    connections[alias].close()
    connections[alias].close_pool()  # type: ignore[attr-defined]


class Pooled:
    """Send everything to one database."""

    alias = ""

    def db_for_read(self, model: object, **hints: object) -> str:
        return self.alias

    def db_for_write(self, model: object, **hints: object) -> str:
        return self.alias

    def allow_relation(self, one: object, other: object, **hints: object) -> bool:
        return True

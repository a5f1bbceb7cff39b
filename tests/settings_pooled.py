"""A project whose connections to PostgreSQL are pooled: by psycopg, and by PgBouncer where PGBOUNCER names it."""

from __future__ import annotations

import os
import socket
from typing import Any

from tests.settings import DATABASES as DIRECT
from tests.settings_no_stripe import *  # noqa: F403


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _pooled(**settings: Any) -> dict[str, Any]:
    return {**DIRECT["default"], "TEST": {"MIRROR": "default"}, **settings}


_FRONT = {"HOST": "127.0.0.1", "PORT": _free_port(), "DISABLE_SERVER_SIDE_CURSORS": True}
_POOLS = {
    "psycopg": _pooled(OPTIONS={"pool": {"min_size": 1, "max_size": 3}}),
    "bound": _pooled(OPTIONS={"pool": True, "server_side_binding": True, "prepare_threshold": 1}),
}
DATABASES = {
    **DIRECT,
    **({"pgbouncer": _pooled(**_FRONT)} if "PGBOUNCER" in os.environ else _POOLS),
}

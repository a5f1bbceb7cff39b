"""A Redis of this test run's own, on a socket in a directory that goes with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def find_redis() -> str | None:
    """Return the path of redis-server: the one of this environment, or one that is installed."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return shutil.which("redis-server", path=places)


@contextmanager
def redis_server() -> Iterator[str]:
    """Start a server and yield its URL for Celery; it keeps nothing."""
    program = find_redis()
    assert program, "there is no redis-server; install Redis"
    with tempfile.TemporaryDirectory(prefix="usage_credits_redis_") as directory:
        socket = Path(directory, "socket")
        options = ["--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", directory]
        server = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
        try:
            while not socket.exists():
                assert server.poll() is None, "redis-server ended at once; see its output above"
                time.sleep(0.01)
            yield f"redis+socket://{socket}"
        finally:
            server.kill()
            server.wait()

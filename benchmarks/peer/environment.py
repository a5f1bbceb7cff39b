"""A virtual environment for a project that is measured beside ours."""

from __future__ import annotations

import subprocess
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 300
REQUIREMENTS = ("stapel-billing>=0.24,<0.25", "psycopg[binary]>=3.2")


class NotInstalled(Exception):
    """The peer cannot be had here; the message is the last that pip said."""


@contextmanager
def environment() -> Iterator[str]:
    """Yield the path of a Python that has the peer, until the end; raises NotInstalled."""
    with tempfile.TemporaryDirectory(prefix="usage_credits_peer_") as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin" / "python")
        command = [python, "-m", "pip", "install", "--quiet", *REQUIREMENTS]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            raise NotInstalled(f"pip took more than {PATIENCE} seconds") from None
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise NotInstalled(said[-1] if said else f"pip ended with {done.returncode}")
        yield python

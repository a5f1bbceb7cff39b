"""The example as `manage.py demo --no-story` serves it, with a fake Stripe beside it."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.example.studio import Studio

_ADDRESSES = re.compile(
    r"The studio: +(?P<url>http://\S+)/  .*\n"
    r"Its admin: .*\(user (?P<manager>\S+), password (?P<password>\S+)\)\n"
)


@dataclass(frozen=True)
class Served:
    """Where the studio listens, and who may look at its admin."""

    url: str
    manager: str
    password: str


@contextmanager
def served(studio: Studio) -> Iterator[Served]:
    """Serve until the block ends; raises AssertionError with what was said, for an error of the site's too."""
    said: list[str] = []
    with studio.start("demo", "--no-story", "--port", "0") as process:
        try:
            yield _addresses(process, said)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
    output = "".join(said)
    assert process.returncode == 0, output
    # Of who may not, Django tells by a traceback, too.
    refused = output.count("Forbidden (Permission denied)")
    assert output.count("Traceback") == refused, output


def _addresses(process: subprocess.Popen[str], said: list[str]) -> Served:
    """Read until the addresses are known, and go on reading in a thread, so that the site never waits for us."""
    assert process.stdout
    for line in process.stdout:
        said.append(line)
        if found := _ADDRESSES.search("".join(said)):
            threading.Thread(target=said.extend, args=(process.stdout,), daemon=True).start()
            return Served(**found.groupdict())
    raise AssertionError("".join(said))

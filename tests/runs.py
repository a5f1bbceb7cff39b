"""Run a folder of tests with settings of its own, in another process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent


def run_with_settings(settings: str, folder: str) -> None:
    """Fail with what pytest printed unless the tests of `folder` pass."""
    environment = {name: value for name, value in os.environ.items() if name != "TEST_DATABASE_NAME"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TESTS / folder)],
        cwd=TESTS.parent,
        env={**environment, "DJANGO_SETTINGS_MODULE": settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout

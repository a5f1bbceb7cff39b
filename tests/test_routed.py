from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROUTED = Path(__file__).parent / "routed"


def test_work_where_routers_choose_the_database_and_default_is_empty() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "TEST_DATABASE_NAME"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(ROUTED)],
        cwd=ROUTED.parents[1],
        env={**environment, "DJANGO_SETTINGS_MODULE": "tests.settings_routed"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout

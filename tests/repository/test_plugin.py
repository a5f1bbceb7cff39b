from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def run_pytest(folder: Path, test: str, *options: str, ci: str = "false") -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(f"import pytest\n\n{test}\n\ndef test_it(): pass\n")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    behaviour\n    concurrency\ntestpaths = .\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.repository.plugin", "--ds=tests.settings", *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TEST_DATABASE": "sqlite", "CI": ci},
        capture_output=True,
        text=True,
        check=False,
    )


def test_run_names_its_database_and_counts_its_tests(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, "")
    assert run.returncode == pytest.ExitCode.OK
    assert "database: SQLite 3." in run.stdout
    assert ": 1 passed, 0 failed, 0 skipped\n" in run.stdout


def test_whole_run_fails_for_each_behaviour_without_a_proof(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, "@pytest.mark.behaviour('DEB-01')", "--behaviours")
    assert run.returncode == pytest.ExitCode.TESTS_FAILED
    assert "DEB-02: no test proved it" in run.stdout
    assert "DEB-01" not in run.stdout


def test_run_refuses_a_claim_of_an_unknown_line(tmp_path: Path) -> None:
    run = run_pytest(tmp_path, "@pytest.mark.behaviour('DEB-99')", "-k", "nothing")
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert "DEB-99" in run.stderr


@pytest.mark.parametrize(
    ("test", "options", "complaint"),
    [
        ("@pytest.mark.skip", (), "test_it.py::test_it: left out"),
        (
            "@pytest.mark.concurrency\ndef test_race(): pass",
            ("-m", "not concurrency"),
            "test_it.py::test_race: left out",
        ),
        ("", (), "no concurrency test ran"),
    ],
)
def test_ci_run_leaves_nothing_out(
    tmp_path: Path, test: str, options: tuple[str, ...], complaint: str
) -> None:
    run = run_pytest(tmp_path, test, *options, ci="true")
    assert run.returncode == pytest.ExitCode.TESTS_FAILED
    assert complaint in run.stdout
    assert run_pytest(tmp_path, test, *options).returncode == pytest.ExitCode.OK

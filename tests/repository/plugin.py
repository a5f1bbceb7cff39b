"""What a test run must show: which database it used, what it proved, and that it left nothing out."""

from __future__ import annotations

import os

import pytest
from pytest_django.plugin import blocking_manager_key

from tests.databases import describe_database
from tests.repository.catalogue import LIST, read_catalogue
from tests.repository.evidence import Evidence

EVIDENCE = pytest.StashKey[Evidence]()
CATALOGUE = pytest.StashKey[dict[str, str | None]]()
COMPLAINTS = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--behaviours",
        action="store_true",
        help="Fail unless every behaviour of tests/behaviours.txt that is not waived was proved in this run.",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[EVIDENCE] = Evidence()
    config.stash[CATALOGUE] = read_catalogue(LIST.read_text(encoding="utf-8"))
    config.stash[COMPLAINTS] = []
    config.pluginmanager.register(_Recorder(config.stash[EVIDENCE]))


def pytest_report_header(config: pytest.Config) -> str:
    return f"database: {_database(config)}"


# Before -k and -m take tests away: a claim of an unknown line is wrong whether or not its test runs.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    evidence, catalogue = config.stash[EVIDENCE], config.stash[CATALOGUE]
    for item in items:
        claimed = frozenset(identifier for mark in item.iter_markers("behaviour") for identifier in mark.args)
        if unknown := sorted(claimed - catalogue.keys()):
            raise pytest.UsageError(f"{item.nodeid} claims {', '.join(unknown)}: not in {LIST.name}")
        evidence.claims[item.nodeid] = claimed
        if item.get_closest_marker("concurrency"):
            evidence.concurrent.add(item.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    if config.option.collectonly:
        return
    config.stash[COMPLAINTS] = _complaints(config)
    if config.stash[COMPLAINTS] and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if complaints := config.stash[COMPLAINTS]:
        terminalreporter.section("left open by this run", red=True)
        for complaint in complaints:
            terminalreporter.line(complaint, red=True)
    terminalreporter.line(f"{_database(config)}: {config.stash[EVIDENCE].counts()}")


def _database(config: pytest.Config) -> str:
    with config.stash[blocking_manager_key].unblock():
        return describe_database()


def _complaints(config: pytest.Config) -> list[str]:
    evidence, catalogue = config.stash[EVIDENCE], config.stash[CATALOGUE]
    complaints = []
    if config.getoption("--behaviours"):
        complaints += [f"{identifier}: no test proved it" for identifier in evidence.without_proof(catalogue)]
        complaints += [
            f"{identifier}: waived, but claimed; lift the waiver or drop the claim"
            for identifier in evidence.waived_but_proved(catalogue)
        ]
    if os.environ.get("CI") == "true":
        complaints += [f"{test}: left out; a CI run skips nothing" for test in evidence.left_out()]
        whole_suite = config.args_source is pytest.Config.ArgsSource.TESTPATHS
        if whole_suite and not evidence.ran_concurrently():
            complaints.append("no concurrency test ran")
    return complaints


class _Recorder:
    """The hooks that pytest calls without a config."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        self.evidence.deselected.update(item.nodeid for item in items)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.evidence.record(report.nodeid, report.when, report.outcome)

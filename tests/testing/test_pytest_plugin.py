from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.plugins import PLUGIN, pytest_options

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]

SETTINGS = """
from tests.settings import *
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
"""

BREAK_A_BALANCE = """
from usage_credits.models import Wallet

def break_balance(user):
    user.give_credits(5)
    Wallet.objects.update(booked_balance=6)
"""

MAKE_A_USER = """
import pytest
from tests.app.models import User

@pytest.fixture
def user(db):
    return User.objects.create(username="ada", email="ada@example.com")
"""


@pytest.fixture(autouse=True)
def environment(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{pytester.path}")
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with the settings of these tests, a user and what breaks the ledger."""
    pytester.makepyfile(settings=SETTINGS, breaking=BREAK_A_BALANCE)
    pytester.makeconftest(MAKE_A_USER)
    return pytester


def run(project: pytest.Pytester, test: str, *options: str, settings: str = "settings") -> pytest.RunResult:
    project.makepyfile(test_it=test)
    return project.runpytest_subprocess(
        *pytest_options(), "--strict-markers", "--strict-config", f"--ds={settings}", *options
    )


def test_three_months_of_a_subscription_in_one_test(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
        from datetime import UTC, datetime
        import pytest

        @pytest.fixture
        def clock_start():
            return datetime(2026, 1, 31, tzinfo=UTC)

        def test_renew(stripe_world, clock, credit_events, user, assert_ledger_sound):
            stripe_world.subscribe(user, "pro")
            clock.travel(months=3, days=1)
            assert user.credits == 100 + 500
            assert credit_events.names.count("subscription_credits_awarded") == 4
            assert clock.now == datetime(2026, 5, 1, tzinfo=UTC)
            assert_ledger_sound()
        """,
    )
    result.assert_outcomes(passed=1)


def test_fixtures_say_what_to_install_and_others_work(project: pytest.Pytester) -> None:
    missing = "\n".join(
        f"sys.modules[{module!r}] = None" for module in ("stripe", "djstripe", "time_machine")
    )
    project.makeconftest(f"import sys\n{missing}\n{MAKE_A_USER}")
    result = run(
        project,
        """
        def test_stripe(stripe_world): pass

        def test_clock(clock): pass

        def test_others(credit_events, user, assert_ledger_sound):
            user.give_credits(5)
            assert credit_events.names == ["credits_added"]
            assert_ledger_sound()
        """,
        settings="tests.settings_no_stripe",
    )
    result.assert_outcomes(errors=2, passed=1)
    result.stdout.fnmatch_lines(
        [
            "The fixture 'stripe_world' needs stripe and djstripe, *: pip install \"usage_credits[[]stripe[]]\"",
            "The fixture 'clock' needs time_machine, *: pip install \"usage_credits[[]testing[]]\"",
        ]
    )


def test_clock_works_without_stripe(project: pytest.Pytester) -> None:
    missing = "\n".join(f"sys.modules[{module!r}] = None" for module in ("stripe", "djstripe"))
    project.makeconftest(f"import sys\n{missing}\n{MAKE_A_USER}")
    result = run(
        project,
        """
        from usage_credits import credits, start_grant

        def test_grant(clock, user):
            start_grant(user, credits(10).every("week"), unused_credits="rollover")
            clock.travel(weeks=2)
            assert user.credits == 30
        """,
        settings="tests.settings_no_stripe",
    )
    result.assert_outcomes(passed=1)


def test_fixtures_of_the_database_ask_for_pytest_django(pytester: pytest.Pytester) -> None:
    fixtures = ["stripe_world", "credit_events", "assert_ledger_sound"]
    pytester.makepyfile("\n".join(f"def test_{fixture}({fixture}): pass" for fixture in fixtures))
    result = pytester.runpytest_subprocess(*pytest_options(), "-p", "no:django")
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(
        [f"The fixture '{fixture}' needs pytest-django*usage_credits[[]testing[]]\"" for fixture in fixtures]
    )


def test_suites_without_settings_go_on(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        def test_it(request):
            assert request.config.getini("usage_credits_sound_ledger") is False
    """)
    result = pytester.runpytest_subprocess(*pytest_options(), "--strict-config", "-W", "error")
    result.assert_outcomes(passed=1)


def test_plugin_imports_nothing_but_pytest() -> None:
    code = (
        f"import sys, pytest; before = set(sys.modules); import {PLUGIN}; print(*set(sys.modules) - before)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert PLUGIN in done.stdout.split()
    packages = {name.partition(".")[0] for name in done.stdout.split()}
    assert not packages & {"django", "djstripe", "factory", "stripe", "time_machine"}


def test_assert_ledger_sound_fails_with_what_is_wrong(project: pytest.Pytester) -> None:
    result = run(
        project,
        """
        from breaking import break_balance
        import usage_credits.testing

        def test_fixture(user, assert_ledger_sound):
            assert_ledger_sound()
            break_balance(user)
            assert_ledger_sound()

        def test_function(user):
            break_balance(user)
            usage_credits.testing.assert_ledger_sound()
        """,
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*AssertionError: The ledger does not add up*", "*INV-1 wallet *"])


CHECKED = """
from django.db import connection, transaction
import pytest
from breaking import break_balance
from tests.app.models import User

def test_broken(user):
    break_balance(user)

@pytest.mark.django_db
@pytest.mark.sound_ledger
def test_marked():
    break_balance(User.objects.create(username="eve"))

@pytest.mark.sound_ledger
def test_failing(user):
    break_balance(user)
    assert user.credits == 7

@pytest.mark.sound_ledger
def test_sound(user):
    user.give_credits(5)

@pytest.mark.sound_ledger
def test_without_database():
    pass

@pytest.mark.sound_ledger
def test_in_a_broken_transaction(user):
    with pytest.raises(ZeroDivisionError), transaction.atomic(savepoint=False):
        1 / 0
    assert connection.needs_rollback
"""


@pytest.mark.parametrize(
    ("ini", "unsound"),
    [
        ("", ["test_marked"]),
        ("[pytest]\nusage_credits_sound_ledger = true\n", ["test_broken", "test_marked"]),
    ],
)
def test_ledger_is_checked_after_each_test_of_who_asks_for_it(
    project: pytest.Pytester, ini: str, unsound: list[str]
) -> None:
    project.makeini(ini)
    result = run(project, CHECKED)
    result.assert_outcomes(failed=len(unsound) + 1, passed=5 - len(unsound))
    told = [f"FAILED *::{name} - AssertionError: The ledger does not add up*" for name in unsound]
    # What a test itself fails by is what is told.
    result.stdout.fnmatch_lines([*told, "FAILED *::test_failing - assert 6 == 7*"])

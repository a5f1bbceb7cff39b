"""Fixtures for the test suites of projects; pytest loads this by its entry point.

It is imported in every run of pytest in an environment that has this package, so it imports nothing but pytest: what
a fixture needs is imported when a test asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from usage_credits.testing import CapturedEvents, StoppedClock, StripeWorld

_SOUND_LEDGER = "usage_credits_sound_ledger"
_DATABASE_FIXTURES = {"db", "transactional_db", "django_db_reset_sequences", "django_db_serialized_rollback"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(
        _SOUND_LEDGER,
        "After each test that uses the database, check that the ledger of usage_credits adds up.",
        type="bool",
        default=False,
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "sound_ledger: check after the test that the ledger of usage_credits adds up"
    )
    has_django = config.pluginmanager.hasplugin("django")
    config.pluginmanager.register(_WithDatabase() if has_django else _WithoutDatabase())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    # Here and not in a fixture: the test itself fails, and its rows are not rolled back yet.
    yield
    if _checks_ledger(item):
        _check_ledger()


@pytest.fixture
def clock_start() -> datetime | None:
    """Return when `clock` stops time, an aware datetime: the present; override it for another start."""
    return None


@pytest.fixture
def clock(clock_start: datetime | None) -> Iterator[StoppedClock]:
    """Stop time for the project and a fake Stripe alike; move it with `advance`, `move_to` and `travel`."""
    _require("clock", "testing", "time_machine")
    from usage_credits.testing import stop_clock

    with stop_clock(clock_start) as stopped:
        yield stopped


@pytest.fixture
def stripe_prices() -> Mapping[str, Any]:
    """Return price ids with their amounts in minor units; override it for prices that are not made up."""
    return {}


@pytest.fixture
def stripe_events() -> Iterable[str] | None:
    """Return the types of events that the webhook is told of: those that credits need; ["*"] is all there are."""
    return None


@pytest.fixture
def stripe_world(
    request: pytest.FixtureRequest,
    _credits_database: None,
    stripe_prices: Mapping[str, Any],
    stripe_events: Iterable[str] | None,
) -> Iterator[StripeWorld]:
    """Put a fake Stripe in the place of Stripe, with this project's webhook and the prices of its plans."""
    _require("stripe_world", "stripe", "stripe", "djstripe")
    if "clock" in request.fixturenames:
        # What it creates bears the time of the stopped clock.
        request.getfixturevalue("clock")
    from usage_credits.testing import use_stripe_world

    # Never the keys of a real account, whatever the settings say.
    settings = request.getfixturevalue("settings")
    settings.STRIPE_LIVE_MODE = False
    settings.STRIPE_TEST_SECRET_KEY = "sk_test_" + "0" * 24
    with use_stripe_world(stripe_prices, enabled_events=stripe_events) as world:
        yield world


@pytest.fixture
def credit_events(_credits_database: None) -> Iterator[CapturedEvents]:
    """Capture the lifecycle events of the test, commit or not."""
    from usage_credits.testing import CapturedEvents

    with closing(CapturedEvents()) as events:
        yield events


@pytest.fixture
def assert_ledger_sound(_credits_database: None) -> Callable[..., None]:
    """Return what fails with every row that breaks an invariant of the ledger."""
    from usage_credits.testing import assert_ledger_sound

    return assert_ledger_sound


class _WithDatabase:
    """What stands on pytest-django, where it is."""

    @pytest.fixture
    def _credits_database(self, db: None) -> None:
        """Ask for the database."""


class _WithoutDatabase:
    @pytest.fixture
    def _credits_database(self, request: pytest.FixtureRequest) -> None:
        """Say what is missing."""
        _fail(_asked_for(request), "testing", "pytest-django")


def _asked_for(request: pytest.FixtureRequest) -> str:
    names = [name for name in ("stripe_world", "credit_events") if name in request.fixturenames]
    return names[0] if names else "assert_ledger_sound"


def _require(fixture: str, extra: str, *modules: str) -> None:
    if missing := [module for module in modules if find_spec(module) is None]:
        _fail(fixture, extra, " and ".join(missing))


def _fail(fixture: str, extra: str, missing: str) -> None:
    pytest.fail(
        f'The fixture {fixture!r} needs {missing}, which is not here: pip install "usage_credits[{extra}]"',
        pytrace=False,
    )


def _checks_ledger(item: pytest.Item) -> bool:
    is_asked_for = item.config.getini(_SOUND_LEDGER) or item.get_closest_marker("sound_ledger")
    fixtures = set(getattr(item, "fixturenames", ()))
    has_database = item.get_closest_marker("django_db") or fixtures & _DATABASE_FIXTURES
    return bool(is_asked_for and has_database)


def _check_ledger() -> None:
    __tracebackhide__ = True
    from django.db import InternalError
    from django.db.transaction import TransactionManagementError

    from usage_credits.testing import assert_ledger_sound

    # A test may end in a transaction that an error broke: nothing can be read, and none of it is kept.
    with suppress(InternalError, TransactionManagementError):
        assert_ledger_sound()

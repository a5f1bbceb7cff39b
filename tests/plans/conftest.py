from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from pytest_django.plugin import DjangoDbBlocker

from tests.plans.filling import Ledger, empty_ledger, fill_ledger

# Plans are PostgreSQL's: on other databases there is nothing to look at.
collect_ignore_glob = [] if os.environ.get("TEST_DATABASE") == "postgres" else ["test_*.py"]


@pytest.fixture(scope="package")
def filled(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Ledger]:
    """A million rows, filled in once for the tests of this folder and taken away after the last."""
    with django_db_blocker.unblock():
        ledger = fill_ledger()
    yield ledger
    with django_db_blocker.unblock():
        empty_ledger()


@pytest.fixture
def ledger(filled: Ledger, db: None) -> Ledger:
    """The filled ledger, in a transaction that is rolled back at the end of the test."""
    return filled

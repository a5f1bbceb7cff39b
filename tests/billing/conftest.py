from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.app.models import User
from tests.billing.changing import Changes
from tests.billing.subscribing import Notices
from usage_credits.ledger.verification import verify
from usage_credits.testing import FakeStripe, receive_webhooks, use_fake_stripe

IS_SQLITE = os.environ.get("TEST_DATABASE", "sqlite") == "sqlite"

# How Stripe writes something down is no matter of the database: all of it is tested on the quickest.
SHAPES = ["today", "older state alone"] if IS_SQLITE else ["today"]
MORE_SHAPES = ["today, invoiced", "today, unprorated", "older", "state alone"] if IS_SQLITE else []


@pytest.fixture
def fake(db: None) -> Iterator[FakeStripe]:
    with use_fake_stripe(FakeStripe()) as fake:
        receive_webhooks()
        fake.requests.clear()
        yield fake


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create(username="ada", email="ada@example.com")


@pytest.fixture(params=SHAPES)
def notices(request: pytest.FixtureRequest, fake: FakeStripe) -> Notices:
    return Notices(fake, request.param)


@pytest.fixture
def verified(db: None) -> Iterator[None]:
    """Check at last that the ledger adds up."""
    yield
    assert list(verify()) == []


@pytest.fixture(params=SHAPES + MORE_SHAPES)
def changes(request: pytest.FixtureRequest, fake: FakeStripe) -> Changes:
    return Changes(fake, request.param)

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.test import Client, override_settings

from tests.app.models import User
from tests.settings import INSTALLED_APPS
from tests.views.visiting import visitor


@pytest.fixture
def user(db: None) -> User:
    return User.objects.create(username="ada", email="ada@example.com")


@pytest.fixture
def client(user: User) -> Client:
    """The browser of the user, who is signed in."""
    return visitor(user)


@pytest.fixture
def without_stripe() -> Iterator[None]:
    with override_settings(INSTALLED_APPS=[app for app in INSTALLED_APPS if app != "djstripe"]):
        yield

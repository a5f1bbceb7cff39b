"""A user, a browser of theirs, and a Stripe to buy from: what the tests of any project with credits need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client, override_settings

from studio.models import User
from usage_credits.testing import FakeStripe, StripeWorld


@pytest.fixture(autouse=True)
def media(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "media"
    # The default hasher is slow on purpose.
    hashers = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    with override_settings(MEDIA_ROOT=folder, PASSWORD_HASHERS=hashers, LANGUAGE_MODEL_PACE=0):
        yield folder


@pytest.fixture
def user(db: None) -> User:
    user = User.objects.create_user("ada", "ada@example.com", "lovelace-1843")
    # Five came with the free plan.
    user.give_credits(15, reason="signup")
    return user


@pytest.fixture
def browser(client: Client, user: User) -> Client:
    client.force_login(user)
    return client


@pytest.fixture
def stripe_prices() -> dict[str, Any]:
    return {
        "price_studio_pro_month": 1_500,
        "price_studio_pro_year": {"amount": 15_000, "interval": "year"},
    }


@pytest.fixture
def stripe(stripe_world: StripeWorld) -> FakeStripe:
    return stripe_world.fake

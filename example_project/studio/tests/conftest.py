"""A user, a browser of theirs, and a Stripe to buy from: what the tests of any project with credits need."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client, override_settings

from studio.models import User
from usage_credits.testing import FakeStripe, receive_webhooks, use_fake_stripe


@pytest.fixture(autouse=True)
def media(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "media"
    # The default hasher is slow on purpose.
    hashers = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    with override_settings(MEDIA_ROOT=folder, PASSWORD_HASHERS=hashers):
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
def stripe(db: None) -> Iterator[FakeStripe]:
    key = "sk_test_" + "0" * 24
    with override_settings(STRIPE_TEST_SECRET_KEY=key), use_fake_stripe(FakeStripe()) as fake:
        receive_webhooks()
        fake.add_price("price_studio_pro_month", amount=1_500)
        fake.add_price("price_studio_pro_year", amount=15_000, interval="year")
        yield fake

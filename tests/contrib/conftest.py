from __future__ import annotations

import os
from collections.abc import Iterator

import django
import pytest

from tests.contrib.redis_server import find_redis
from usage_credits.testing import FakeStripe, use_fake_stripe

# Django's own tasks came with 6.0. A machine that checks has a Redis, or fails for want of one.
collect_ignore = []
if django.VERSION < (6, 0):
    collect_ignore.append("test_tasks.py")
if find_redis() is None and os.environ.get("CI") != "true":
    collect_ignore.append("test_celery_workers.py")


@pytest.fixture
def fake(db: None) -> Iterator[FakeStripe]:
    with use_fake_stripe(FakeStripe()) as fake:
        yield fake

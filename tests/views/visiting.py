"""What the tests of the pages do as somebody who looks at them."""

from __future__ import annotations

import re
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.app.models import User

HTMX = {"HX-Request": "true"}


def url(name: str) -> str:
    return reverse(f"usage_credits:{name}")


def visitor(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def seen(answer: Any, status: int = 200) -> str:
    """Return the page."""
    assert answer.status_code == status
    text: str = answer.content.decode()
    return text


def amounts(page: str) -> list[int]:
    """Return the amounts of a statement's page, in order."""
    cells = re.findall(r'usage-credits-number usage-credits-(?:in|out)">([+-]\d+) ', page)
    return [int(cell) for cell in cells]


def statements_of(client: Client, path: str, **asked: str) -> int:
    """Return how many statements a page takes once caches of the process are warm."""
    assert client.get(path, asked).status_code == 200
    with CaptureQueriesContext(connection) as statements:
        client.get(path, asked)
    return len(statements)

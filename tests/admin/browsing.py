"""Look at the admin as a browser would."""

from __future__ import annotations

import re
from typing import Any

from django.contrib.auth.models import Permission
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.app.models import User


def list_url(model: type[models.Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def page_url(row: models.Model, page: str = "change") -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_{page}", args=[row.pk])


def rows_listed(client: Client, model: type[models.Model], **query: Any) -> list[models.Model]:
    answer = client.get(list_url(model), query)
    assert answer.status_code == 200
    rows: list[models.Model] = list(answer.context["cl"].result_list)
    return rows


def statements_for(client: Client, url: str) -> int:
    """Return how many statements the page takes once caches of the process are warm."""
    assert client.get(url).status_code == 200
    with CaptureQueriesContext(connection) as statements:
        client.get(url)
    return len(statements)


def staff_client(*permissions: str) -> Client:
    """Return the client of a member of staff with just these permissions."""
    user = User.objects.create_user(username="clerk", password="secret", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def token_on(client: Client, url: str) -> str:
    """Return the token of the form that the page shows."""
    found = re.search(r'name="token" value="([^"]+)"', client.get(url).content.decode())
    assert found
    return found[1]


def messages_of(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]

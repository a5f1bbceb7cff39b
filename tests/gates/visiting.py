"""Requests to the gated views of tests.app.gated."""

from __future__ import annotations

from typing import Any

from django.test import Client

from tests.app.models import User

HOST = "http://testserver"
JSON = "application/json"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def ask(client: Client, path: str, method: str = "POST", accept: str = JSON, **headers: str) -> Any:
    """Send a request as a program does."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return client.generic(method, path, headers={"accept": accept, **given})


def told(client: Client) -> list[str]:
    """Return the messages that wait for the person."""
    texts: list[str] = client.get("/told/").json()
    return texts


def has_run(user: User) -> bool:
    """Tell whether a view has left its trace."""
    return User.objects.get(pk=user.pk).first_name == "ran"

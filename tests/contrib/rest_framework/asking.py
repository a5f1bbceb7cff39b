"""Requests as a program sends them, with credentials of its own and no session."""

from __future__ import annotations

import base64
from typing import Any

from rest_framework.test import APIClient

from tests.app.models import User
from tests.contrib.rest_framework.schema import check_answer

PROBLEM = "application/problem+json"


class Program(APIClient):
    """Sends and takes JSON. What the API answers is held against the schema."""

    def __init__(self, user: User | None = None) -> None:
        super().__init__()
        if user is not None:
            user.set_password("secret")
            user.save()
            token = base64.b64encode(f"{user.username}:secret".encode()).decode()
            self.credentials(HTTP_AUTHORIZATION=f"Basic {token}")

    def generic(self, method: str, path: Any, *args: Any, **options: Any) -> Any:
        answer = super().generic(method, path, *args, **options)
        if path.startswith("/api/"):
            check_answer(method, path, answer)
        return answer

    def ask(self, path: str, data: Any = None, method: str = "post", **headers: str) -> Any:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return getattr(self, method)(path, data or {}, format="json", headers=given)


def has_run(user: User) -> bool:
    """Tell whether a view has left its trace."""
    return User.objects.get(pk=user.pk).first_name == "ran"

"""The routers of tests/settings_routed.py and tests/settings_apart.py."""

from __future__ import annotations

from typing import Any

from django.db import models

LEDGER, REPLICA, USERS = "ledger", "replica", "users"
ELSEWHERE = frozenset({"team", "newcomer", "academy"})
"""The owners of tests.app that live in a database of their own; the others are beside the ledger."""


class Apart:
    """Keep the ledger in one database, some owners in another, and nothing in `default`."""

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str:
        return USERS if model._meta.model_name in ELSEWHERE else LEDGER

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str:
        return USERS if model._meta.model_name in ELSEWHERE else LEDGER

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **hints: Any) -> bool:
        if app_label == "contenttypes":
            return True
        return model_name is None or db == (USERS if model_name in ELSEWHERE else LEDGER)


class Replicated(Apart):
    """Read the ledger from a replica."""

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str:
        alias = super().db_for_read(model, **hints)
        return REPLICA if alias == LEDGER else alias

    def allow_relation(self, one: models.Model, other: models.Model, **hints: Any) -> bool | None:
        return True if {one._state.db, other._state.db} <= {LEDGER, REPLICA} else None


class LedgerApart:
    """Keep the ledger in a database of its own, read from a replica, and all else in `default`."""

    def db_for_read(self, model: type[models.Model], **hints: Any) -> str:
        return REPLICA if model._meta.app_label == "usage_credits" else "default"

    def db_for_write(self, model: type[models.Model], **hints: Any) -> str:
        return LEDGER if model._meta.app_label == "usage_credits" else "default"

    def allow_relation(self, one: models.Model, other: models.Model, **hints: Any) -> bool | None:
        return True if {one._state.db, other._state.db} <= {LEDGER, REPLICA} else None

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **hints: Any) -> bool:
        return app_label == "contenttypes" or db == (LEDGER if app_label == "usage_credits" else "default")

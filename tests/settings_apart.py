"""A project that keeps the ledger apart from dj-stripe, its users and all else, and reads it from a replica."""

from __future__ import annotations

from tests.databases import another_database
from tests.settings import *  # noqa: F403

DATABASES = {
    "default": another_database("main"),
    "ledger": another_database("ledger"),
    "replica": another_database("ledger", MIRROR="ledger"),
}
DATABASE_ROUTERS = ["tests.routers.LedgerApart"]

"""A project whose routers choose the database; `default` is empty."""

from __future__ import annotations

from tests.databases import another_database
from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as ALL_APPS
from tests.settings import MIGRATION_MODULES as ALL_MIGRATION_MODULES

DATABASES = {
    "default": {},
    "ledger": another_database("ledger"),
    "replica": another_database("ledger", MIRROR="ledger"),
    "users": another_database("users"),
}
DATABASE_ROUTERS = ["tests.routers.Apart"]
# dj-stripe itself opens its transactions in `default`.
INSTALLED_APPS = [app for app in ALL_APPS if app != "djstripe"]
MIGRATION_MODULES = {app: module for app, module in ALL_MIGRATION_MODULES.items() if app != "djstripe"}

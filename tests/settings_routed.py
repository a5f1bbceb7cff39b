"""A project whose routers choose the database; `default` is empty."""

from __future__ import annotations

from typing import Any

from tests.databases import database_settings
from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as ALL_APPS
from tests.settings import MIGRATION_MODULES as ALL_MIGRATION_MODULES


def _database(name: str) -> dict[str, Any]:
    settings = database_settings()
    test_name = f"{name}_{settings['TEST']['NAME'].rpartition('/')[2]}"
    folder = settings["TEST"]["NAME"].rpartition("/")[0]
    test = {**settings["TEST"], "NAME": f"{folder}/{test_name}" if folder else test_name, "DEPENDENCIES": []}
    return {**settings, "TEST": test}


DATABASES = {
    "default": {},
    "ledger": _database("ledger"),
    "replica": {**_database("ledger"), "TEST": {**_database("ledger")["TEST"], "MIRROR": "ledger"}},
    "users": _database("users"),
}
DATABASE_ROUTERS = ["tests.routers.Apart"]
# dj-stripe itself opens its transactions in `default`.
INSTALLED_APPS = [app for app in ALL_APPS if app != "djstripe"]
MIGRATION_MODULES = {app: module for app, module in ALL_MIGRATION_MODULES.items() if app != "djstripe"}

"""A project that sells nothing through Stripe: dj-stripe is not installed as an app."""

from __future__ import annotations

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS as ALL_APPS
from tests.settings import MIGRATION_MODULES as ALL_MIGRATION_MODULES

INSTALLED_APPS = [app for app in ALL_APPS if app != "djstripe"]
MIGRATION_MODULES = {app: module for app, module in ALL_MIGRATION_MODULES.items() if app != "djstripe"}

"""The project that is measured: one kind of owner, one operation, no Stripe, Django's defaults, kept connections."""

from __future__ import annotations

import os

import dj_database_url

from usage_credits import Operation

SECRET_KEY = "not a secret"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"], conn_max_age=None)}
# The same database by the settings that the documentation calls fast.
FAST = {"server_side_binding": True, "prepare_threshold": 5}
DATABASES["fast"] = {**DATABASES["default"], "OPTIONS": {**DATABASES["default"].get("OPTIONS", {}), **FAST}}
INSTALLED_APPS = ["django.contrib.contenttypes", "usage_credits", "benchmarks.customers"]
USAGE_CREDITS = {"OPERATIONS": [Operation("mail", costs=1)]}

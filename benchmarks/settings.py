"""The project that is measured: one kind of owner, one operation, no Stripe."""

from __future__ import annotations

import os

import dj_database_url

from usage_credits import Operation

SECRET_KEY = "not a secret"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"], conn_max_age=None)}
INSTALLED_APPS = ["django.contrib.contenttypes", "usage_credits", "benchmarks.customers"]
USAGE_CREDITS = {"OPERATIONS": [Operation("mail", costs=1)]}

"""A project around stapel-billing, no bigger than it needs: PostgreSQL by a kept connection, as ours."""

from __future__ import annotations

import os
from urllib.parse import unquote, urlsplit

address = urlsplit(os.environ["DATABASE_URL"])

SECRET_KEY = "not a secret, but as long as its checks want it to be"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": address.path[1:],
        "USER": unquote(address.username or ""),
        "PASSWORD": unquote(address.password or ""),
        "HOST": unquote((address.netloc.rpartition("@")[2]).partition(":")[0]),
        "PORT": address.port or "",
        "CONN_MAX_AGE": None,
    }
}
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.admin",
    "stapel_core.django.apps.CommonDjangoConfig",
    "stapel_core.django.users",
    "rest_framework",
    "stapel_billing",
]
AUTH_USER_MODEL = "users.User"
ROOT_URLCONF = "stapel_billing.urls"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
STAPEL_BUS_BACKEND = "stapel_core.bus.backends.memory.MemoryBus"

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("credits/", include("usage_credits.urls")),
]

if "djstripe" in settings.INSTALLED_APPS:
    urlpatterns.append(path("stripe/", include("djstripe.urls", namespace="djstripe")))

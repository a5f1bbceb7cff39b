from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from tests.app import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("credits/", include("usage_credits.urls")),
    path("spend/<int:pk>/", views.spend),
    path("work/<int:pk>/", views.work),
]

if "djstripe" in settings.INSTALLED_APPS:
    urlpatterns.append(path("stripe/", include("djstripe.urls", namespace="djstripe")))

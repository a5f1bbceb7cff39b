from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", include("studio.urls")),
    path("admin/", admin.site.urls),
    # Browsers ask for it on pages that name no icon, as those of the admin.
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}studio/icon.svg")),
    path("stripe/", include("djstripe.urls", namespace="djstripe")),
]

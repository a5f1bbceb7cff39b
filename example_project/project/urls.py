from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from studio.views.shop import BuyAndSaveCard
from usage_credits.urls import urlpatterns as pages

credit_pages = [path("shop/buy/", BuyAndSaveCard.as_view(), name="buy_pack"), *pages]

urlpatterns = [
    path("", include("studio.urls")),
    path("credits/", include((credit_pages, "usage_credits"))),
    path("api/credits/", include("usage_credits.contrib.rest_framework.urls")),
    path("admin/", admin.site.urls),
    # Browsers ask for it on pages that name no icon, as those of the admin.
    path("favicon.ico", RedirectView.as_view(url=f"{settings.STATIC_URL}studio/icon.svg")),
    path("stripe/", include("djstripe.urls", namespace="djstripe")),
]

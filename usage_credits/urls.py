"""Pages for a project's own urls.py: `path("credits/", include("usage_credits.urls"))`."""

from __future__ import annotations

from django.urls import path

from usage_credits.views import CheckoutReturnView

app_name = "usage_credits"

urlpatterns = [
    path("checkout/return/", CheckoutReturnView.as_view(), name="checkout_return"),
]

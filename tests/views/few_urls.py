"""A project that has one page of the app, under a name of its own."""

from __future__ import annotations

from django.urls import path

from usage_credits.views import WalletView

urlpatterns = [path("wallet/", WalletView.as_view(), name="wallet")]

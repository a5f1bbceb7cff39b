"""A project with two more admin sites: one that shows all of the ledger, and one that shows its wallets alone."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from tests.urls import urlpatterns as own
from usage_credits.admin import WalletAdmin
from usage_credits.models import Wallet

support = admin.AdminSite(name="support")
for model, model_admin in admin.site._registry.items():
    support.register(model, type(model_admin))

wallets_alone = admin.AdminSite(name="wallets_alone")
wallets_alone.register(Wallet, WalletAdmin)

urlpatterns = [*own, path("support/", support.urls), path("wallets/", wallets_alone.urls)]

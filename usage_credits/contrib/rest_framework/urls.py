"""The API for a project's own urls.py: `path("credits/", include("usage_credits.contrib.rest_framework.urls"))`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from django.urls import URLPattern, path

from usage_credits.contrib.rest_framework import offers, views
from usage_credits.exceptions import InvalidValue
from usage_credits.gates.gate import check_option

app_name = "usage_credits_api"


def api_urls(
    *, owner: Callable[..., Any] | None = None, redirect_hosts: Collection[str] = ()
) -> list[URLPattern]:
    """Return the URLs of the API, for the owner that `owner` returns; by default the user of the request.

    `owner` gets the request, then what the URL gives the view, and returns an instance of a model with HasWallet that
    the user may act for; it raises Http404 or PermissionDenied for any other. `redirect_hosts` are hosts, with their
    ports, to which checkout may lead besides the one of the request. Raises InvalidValue that names the refused one.
    """
    of: dict[str, Any] = {"owner": check_option(owner, "owner")}
    if isinstance(redirect_hosts, str) or not isinstance(redirect_hosts, Collection):
        raise InvalidValue.of("redirect_hosts", redirect_hosts, "a list of hosts")
    checkout = offers.CheckoutView.as_view(**of, redirect_hosts=redirect_hosts)
    wallet = "wallets/<str:asset>/"
    return [
        path("wallets/", views.WalletListView.as_view(**of), name="wallet_list"),
        path(wallet, views.WalletView.as_view(**of), name="wallet"),
        path(f"{wallet}lots/", views.LotListView.as_view(**of), name="lot_list"),
        path(f"{wallet}transactions/", views.TransactionListView.as_view(**of), name="transaction_list"),
        path(f"{wallet}transactions/<int:pk>/", views.TransactionView.as_view(**of), name="transaction"),
        path("packs/", offers.PackListView.as_view(**of), name="pack_list"),
        path("plans/", offers.PlanListView.as_view(**of), name="plan_list"),
        path("estimate/", offers.EstimateView.as_view(**of), name="estimate"),
        path("checkout/", checkout, name="checkout"),
    ]


urlpatterns = api_urls()

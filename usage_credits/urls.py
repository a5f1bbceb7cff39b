"""Pages for a project's own urls.py: `path("credits/", include("usage_credits.urls"))`."""

from __future__ import annotations

from typing import Final

from django.urls import URLPattern, path
from django.views import View

from usage_credits import views

app_name = "usage_credits"

PAGES: Final[tuple[tuple[str, type[View], str], ...]] = (
    ("", views.WalletView, "wallet"),
    ("statement/", views.StatementView, "statement"),
    ("statement.csv", views.StatementCsvView, "statement_csv"),
    ("shop/", views.ShopView, "shop"),
    ("shop/buy/", views.BuyPackView, "buy_pack"),
    ("shop/subscribe/", views.SubscribeView, "subscribe"),
    ("shop/manage/", views.ManageSubscriptionView, "manage_subscription"),
    ("recharge/", views.RechargeView, "recharge"),
    ("checkout/return/", views.CheckoutReturnView, "checkout_return"),
)

urlpatterns = [path(route, view.as_view(), name=name) for route, view, name in PAGES]


def pages_of(mixin: type) -> tuple[list[URLPattern], str]:
    """Return all pages, for `include`, of the owners that `mixin`, a subclass of `views.OwnerMixin`, finds.

    `include(pages_of(TeamPages), namespace="team_credits")` has them beside those of users. What the path before it
    captures is in `self.kwargs` of the mixin, and in the links between these pages.
    """
    # The mixin comes first: its owner is asked for, and not the page's own.
    found: list[tuple[str, type[View], str]] = [
        (route, type(view.__name__, (mixin, view), {}), name) for route, view, name in PAGES
    ]
    return [path(route, view.as_view(), name=name) for route, view, name in found], app_name

"""Pages of owners that are not the user, and a shop that saves cards."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.shortcuts import get_object_or_404

from tests.app.models import Team
from usage_credits.urls import pages_of
from usage_credits.views import BuyPackView, OwnerMixin, WalletView


class TeamPages(OwnerMixin):
    """A team's pages, for who has its address."""

    def get_owner(self) -> Any:
        return get_object_or_404(
            Team, pk=self.kwargs["team"], email=getattr(self.request.user, "email", None)
        )


class WalletOf(WalletView):
    """The wallet of whatever the URL names, for everybody."""

    def get_owner(self) -> Any:
        model = apps.get_model(self.kwargs["model"])
        return model._default_manager.filter(pk=self.kwargs["pk"]).first()


class BuyAndSaveCard(BuyPackView):
    def get_options(self, sold: Any) -> dict[str, Any]:
        return {"payment_intent_data": {"setup_future_usage": "off_session"}}


team_pages = pages_of(TeamPages)

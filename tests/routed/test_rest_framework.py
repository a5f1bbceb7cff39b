"""The API where owners are in one database and the ledger in another, which is read from a replica."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connections
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIRequestFactory, force_authenticate

from tests.app.models import Team, User
from usage_credits.contrib.rest_framework import offers, views

pytestmark = pytest.mark.django_db(databases=["ledger", "replica", "users"], transaction=True)


@pytest.fixture(autouse=True)
def replicated() -> Iterator[None]:
    with override_settings(DATABASE_ROUTERS=["tests.routers.Replicated"]):
        yield


def test_api_reads_from_the_replica() -> None:
    user, team = User.objects.create(username="ada"), Team.objects.create(name="Analysts")
    row = team.give_credits(40)
    factory = APIRequestFactory()
    asked = {
        views.WalletListView: factory.get("/"),
        views.WalletView: factory.get("/"),
        views.LotListView: factory.get("/"),
        views.TransactionListView: factory.get("/"),
        views.TransactionView: factory.get("/"),
        offers.EstimateView: factory.post("/", {"operation": "report"}),
    }
    with CaptureQueriesContext(connections["ledger"]) as written:
        for view, request in asked.items():
            force_authenticate(request, user)
            answer = view.as_view(owner=lambda request, **kwargs: team)(request, asset="credits", pk=row.pk)
            assert answer.status_code == 200
            assert "40" in str(answer.data)
    assert len(written) == 0

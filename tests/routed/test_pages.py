from __future__ import annotations

from typing import Any

import pytest
from django.test import Client, override_settings

from tests.app.models import Team, User

pytestmark = pytest.mark.django_db(databases=["ledger", "users", "replica"], transaction=True)

PAGES = ("", "statement/", "statement.csv", "shop/", "recharge/")


@pytest.mark.parametrize("router", ["Apart", "Replicated"])
@pytest.mark.parametrize("page", PAGES)
def test_pages_read_where_the_routers_say(page: str, router: str) -> None:
    user = User.objects.create(username="ada", email="ada@example.com")
    team = Team.objects.create(name="Analysts", email="ada@example.com")
    client = Client()
    client.force_login(user)
    for owner, home in ((user, "/credits/"), (team, f"/teams/{team.pk}/credits/")):
        owner.give_credits(70)
        owner.hold_credits_for("report")
        with override_settings(DATABASE_ROUTERS=[f"tests.routers.{router}"]):
            answer: Any = client.get(f"{home}{page}")
        assert answer.status_code == 200

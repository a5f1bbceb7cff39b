from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from tests.admin.browsing import list_url, page_url, staff_client
from tests.app.models import Team, User
from tests.factories import TeamFactory, make_user, stored
from usage_credits.models import Wallet

pytestmark = pytest.mark.django_db


def delete(client: Client, owner: Any) -> Any:
    return client.post(page_url(owner, "delete"), {"post": "yes"}, follow=True)


def test_an_owner_without_history_is_deleted_with_its_wallet(admin_client: Client) -> None:
    team = TeamFactory.create()
    team.wallet().set_cap("member 1", 50, every="day")
    assert "Are you sure" in admin_client.get(page_url(team, "delete")).content.decode()
    delete(admin_client, team)
    assert not Team.objects.exists()
    assert not Wallet.objects.filter(owner_id=team.pk).exists()


def test_an_owner_without_history_is_deleted_by_staff_who_may_delete_owners_only(db: None) -> None:
    team = TeamFactory.create()
    team.wallet().set_cap("member 1", 50, every="day")
    assert delete(staff_client("view_team", "delete_team"), team).status_code == 200
    assert not Team.objects.exists()


def test_owners_without_history_are_deleted_from_their_list(admin_client: Client) -> None:
    teams = TeamFactory.create_batch(2)
    chosen = {"action": "delete_selected", "_selected_action": [str(team.pk) for team in teams]}
    admin_client.post(list_url(Team), {**chosen, "post": "yes"})
    assert not Team.objects.exists()


def test_an_owner_with_history_is_kept_and_the_page_says_why(admin_client: Client) -> None:
    user = make_user(credits=5)
    before = stored()
    asked = admin_client.get(page_url(user, "delete")).content.decode()
    assert "would require deleting the following protected related objects" in asked
    assert "manual_adjustment +5" in asked
    answer = delete(admin_client, user)
    assert answer.status_code == 200
    assert "protected related objects" in answer.content.decode()
    assert User.objects.filter(pk=user.pk).exists()
    assert stored() == before


def test_owners_with_history_are_kept_when_deleted_from_their_list(admin_client: Client) -> None:
    user = make_user(credits=5)
    chosen = {"action": "delete_selected", "_selected_action": [str(user.pk)], "post": "yes"}
    answer = admin_client.post(list_url(User), chosen)
    assert answer.status_code == 200
    assert "protected related objects" in answer.content.decode()
    assert User.objects.filter(pk=user.pk).exists()

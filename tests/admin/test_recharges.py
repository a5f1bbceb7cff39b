from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from tests.admin import rows
from tests.admin.browsing import list_url, page_url, rows_listed, staff_client
from tests.factories import stored
from usage_credits.models import Recharge, RechargeSetting

pytestmark = pytest.mark.django_db


def stop(client: Client, *settings: RechargeSetting) -> int:
    chosen = {"action": "stop", "_selected_action": [setting.pk for setting in settings]}
    return client.post(list_url(RechargeSetting), chosen).status_code


def test_recharging_is_stopped_for_those_selected(admin_client: Client) -> None:
    first, second, third = (rows.make_recharge_setting() for _ in range(3))
    assert stop(admin_client, first, second) == 302
    assert stop(admin_client, first) == 302
    assert rows_listed(admin_client, RechargeSetting, is_enabled__exact="1") == [third]
    first.refresh_from_db()
    assert (first.is_enabled, first.stop_reason) == (False, "stopped")
    logged = LogEntry.objects.order_by("pk").values_list("object_id", flat=True)
    assert {*logged} == {str(first.pk), str(second.pk)}
    assert len(logged) == 2
    assert "Stopped recharging" in admin_client.get(page_url(first, "history")).content.decode()


def test_what_is_stopped_already_keeps_its_reason(admin_client: Client) -> None:
    setting = rows.make_recharge_setting()
    RechargeSetting.objects.update(is_enabled=False, stop_reason="insufficient_funds")
    before = stored()
    answer = admin_client.post(
        list_url(RechargeSetting), {"action": "stop", "_selected_action": [setting.pk]}, follow=True
    )
    assert "0 wallets are not recharged any more." in answer.content.decode()
    assert stored() == before


def test_staff_who_may_only_view_stop_nothing(db: None) -> None:
    setting = rows.make_recharge_setting()
    client = staff_client("view_rechargesetting", "view_wallet")
    before = stored()
    stop(client, setting)
    assert stored() == before
    assert client.post(page_url(setting), {"threshold": 5}).status_code == 403


def test_page_of_a_setting_lists_its_recharges(admin_client: Client) -> None:
    recharge = rows.make_recharge()
    page = admin_client.get(page_url(RechargeSetting.objects.get())).content.decode()
    assert page_url(recharge) in page
    assert "49.00 USD" in page


@pytest.mark.parametrize("field", ["payment", "key"])
def test_recharge_is_found_by_what_stripe_knows_it_by(admin_client: Client, field: str) -> None:
    first, _second = rows.make_recharge(), rows.make_recharge()
    assert rows_listed(admin_client, Recharge, q=f'"{getattr(first, field)}"') == [first]
    page = admin_client.get(page_url(first)).content.decode()
    assert str(first.payment) in page

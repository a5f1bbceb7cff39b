from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from tests.admin import rows
from tests.admin.browsing import list_url, page_url, staff_client
from tests.factories import make_wallet, stored
from usage_credits.ledger.verification import verify
from usage_credits.models import SpendingCap

pytestmark = pytest.mark.django_db

ADD = "admin:usage_credits_spendingcap_add"


def test_cap_is_set_and_counts_what_was_spent(admin_client: Client) -> None:
    wallet = make_wallet(credits=100)
    wallet.debit(20, attributed_to="member")
    asked = {"wallet": wallet.pk, "attributed_to": "member", "every": "day", "limit": 50}
    assert 'name="limit"' in admin_client.get(reverse(ADD)).content.decode()
    assert admin_client.post(reverse(ADD), asked).status_code == 302
    (cap,) = wallet.caps()
    assert (cap.attributed_to, cap.every, cap.limit, cap.spent) == ("member", "P1D", 50, 20)
    assert list(verify()) == []


@pytest.mark.parametrize(
    "wrong",
    [{"every": "fortnight"}, {"limit": -1}, {"limit": ""}, {"limit": 2**63}, {"attributed_to": ""}, {}],
    ids=str,
)
def test_what_is_no_cap_or_one_that_is_there_is_refused(admin_client: Client, wrong: dict[str, Any]) -> None:
    wallet = make_wallet()
    wallet.set_cap("member", 5, every="P1D")
    asked = {"wallet": wallet.pk, "attributed_to": "member", "every": "day", "limit": 50, **wrong}
    before = stored()
    answer = admin_client.post(reverse(ADD), asked)
    assert (answer.status_code, stored()) == (200, before)
    assert answer.context["adminform"].errors


def test_only_the_limit_of_a_cap_is_changed(admin_client: Client) -> None:
    wallet = make_wallet(credits=100)
    cap = wallet.set_cap("member", 50, every="day")
    wallet.debit(20, attributed_to="member")
    changed = {"limit": 70, "attributed_to": "other", "every": "year", "spent": 0, "wallet": make_wallet().pk}
    assert admin_client.post(page_url(cap), changed).status_code == 302
    assert [(cap.attributed_to, cap.every, cap.limit, cap.spent) for cap in wallet.caps()] == [
        ("member", "P1D", 70, 20)
    ]
    assert SpendingCap.objects.count() == 1
    before = stored()
    assert admin_client.post(page_url(cap), {"limit": -1}).status_code == 200
    assert stored() == before


def test_caps_are_removed_one_by_one_and_from_the_list(admin_client: Client) -> None:
    wallet = make_wallet()
    first, second, third = (rows.make_cap(wallet) for _ in range(3))
    admin_client.post(page_url(first, "delete"), {"post": "yes"})
    assert len(wallet.caps()) == 2
    chosen = {"action": "delete_selected", "_selected_action": [second.pk, third.pk], "post": "yes"}
    admin_client.post(list_url(SpendingCap), chosen)
    assert wallet.caps() == []
    assert list(verify()) == []


def test_staff_who_may_only_view_caps_change_none(db: None) -> None:
    cap = rows.make_cap()
    client = staff_client("view_spendingcap", "view_wallet")
    before = stored()
    assert 'name="limit"' not in client.get(page_url(cap)).content.decode()
    assert client.post(page_url(cap), {"limit": 1}).status_code == 403
    assert client.get(reverse(ADD)).status_code == 403
    assert client.post(page_url(cap, "delete"), {"post": "yes"}).status_code == 403
    assert stored() == before

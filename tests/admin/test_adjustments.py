from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from tests.admin.browsing import messages_of, page_url, staff_client, token_on
from tests.app.models import User
from tests.factories import TeamFactory, amounts_of, days, make_wallet, stored
from usage_credits.models import Transaction, Wallet
from usage_credits.values import MAX_AMOUNT

pytestmark = pytest.mark.django_db


def token_shown(client: Client, wallet: Wallet) -> str:
    return token_on(client, page_url(wallet, "adjust"))


def adjust(client: Client, wallet: Wallet, amount: object, **fields: Any) -> Any:
    """Open the form, fill it in and send it; follows to the page that answers."""
    filled = {"reason": "goodwill", "token": fields.get("token") or token_shown(client, wallet), **fields}
    return client.post(page_url(wallet, "adjust"), {"amount": amount, **filled}, follow=True)


@pytest.mark.behaviour("ADM-04")
def test_adjusting_adds_credits_with_reason_and_user(admin_client: Client, admin_user: User) -> None:
    wallet = make_wallet()
    answer = adjust(admin_client, wallet, 25, reason="sorry for the outage")
    row = wallet.transactions.get()
    assert (row.amount, row.category) == (25, "manual_adjustment")
    assert row.metadata == {
        "reason": "sorry for the outage",
        "actor": {"id": admin_user.pk, "name": "admin"},
    }
    assert answer.redirect_chain[-1][0] == page_url(wallet)
    assert messages_of(answer) == ["Adjusted by +25: sorry for the outage"]


@pytest.mark.behaviour("ADM-04")
def test_adjusting_by_a_negative_amount_takes_credits(admin_client: Client) -> None:
    wallet = make_wallet(credits=100)
    adjust(admin_client, wallet, -40)
    row = wallet.transactions.latest("pk")
    assert (row.amount, row.category, row.metadata["reason"]) == (-40, "manual_adjustment", "goodwill")
    assert wallet.balance == 60


def test_adjusting_is_found_in_the_wallets_history(admin_client: Client) -> None:
    wallet = make_wallet()
    adjust(admin_client, wallet, 25)
    assert LogEntry.objects.get().get_change_message() == "Adjusted by +25: goodwill"
    assert "goodwill" in admin_client.get(page_url(wallet, "history")).content.decode()


def test_adjusting_may_add_credits_that_expire(admin_client: Client) -> None:
    wallet = make_wallet()
    expires_at = (timezone.now() + days(30)).replace(microsecond=0)
    adjust(admin_client, wallet, 5, expires_at_0=expires_at.date(), expires_at_1=expires_at.time())
    assert wallet.transactions.get().expires_at == expires_at


def test_adjusting_works_for_owners_with_uuid_keys(admin_client: Client) -> None:
    wallet = TeamFactory.create().wallet()
    adjust(admin_client, wallet, 5)
    assert wallet.balance == 5


@pytest.mark.behaviour("ADM-04")
def test_sending_the_form_twice_books_once(admin_client: Client) -> None:
    wallet = make_wallet()
    token = token_shown(admin_client, wallet)
    adjust(admin_client, wallet, 25, token=token)
    again = adjust(admin_client, wallet, 25, token=token)
    assert amounts_of(wallet) == [25]
    assert messages_of(again) == ["This adjustment had been booked before; nothing was booked again."]
    assert LogEntry.objects.count() == 1


def test_sending_the_form_again_with_another_amount_asks_first(admin_client: Client) -> None:
    wallet = make_wallet()
    token = token_shown(admin_client, wallet)
    adjust(admin_client, wallet, 25, token=token)
    refused = adjust(admin_client, wallet, 30, token=token)
    assert "This form was sent before" in str(refused.context["form"].non_field_errors())
    assert amounts_of(wallet) == [25]
    adjust(admin_client, wallet, 30, token=refused.context["form"]["token"].value())
    assert amounts_of(wallet) == [25, 30]


def test_two_forms_book_twice(admin_client: Client) -> None:
    wallet = make_wallet()
    adjust(admin_client, wallet, 25)
    adjust(admin_client, wallet, 25)
    assert amounts_of(wallet) == [25, 25]


def test_form_takes_no_credits_that_are_for_some_operations_only(admin_client: Client) -> None:
    wallet = make_wallet(credits=10)
    wallet.credit(20, scope=["mail"])
    shown = admin_client.get(page_url(wallet, "adjust")).content.decode()
    assert "has 30 credits, of which 10 can be taken now." in shown
    answer = adjust(admin_client, wallet, -11)
    assert answer.context["form"].errors == {"amount": ["The wallet has only 10 available."]}


def test_taking_more_than_there_is_is_refused_on_the_form(admin_client: Client) -> None:
    wallet = make_wallet(credits=10)
    before = stored()
    answer = adjust(admin_client, wallet, -11)
    assert answer.context["form"].errors == {"amount": ["The wallet has only 10 available."]}
    assert "The wallet has only 10 available." in answer.content.decode()
    assert stored() == before


@pytest.mark.parametrize(
    ("amount", "fields", "field"),
    [
        (0, {}, "amount"),
        ("", {}, "amount"),
        ("1.5", {}, "amount"),
        (MAX_AMOUNT + 1, {}, "amount"),
        (MAX_AMOUNT, {}, "amount"),
        (5, {"reason": ""}, "reason"),
        (5, {"reason": "   "}, "reason"),
        (5, {"reason": "x" * 501}, "reason"),
        (5, {"token": "none"}, "token"),
        (5, {"expires_at_0": "2001-01-01", "expires_at_1": "00:00"}, "expires_at"),
        (-5, {"expires_at_0": "2101-01-01", "expires_at_1": "00:00"}, "expires_at"),
        (5, {"expires_at_0": "soon", "expires_at_1": "00:00"}, "expires_at"),
        (5, {"reason": "a\x00b"}, "reason"),
    ],
)
def test_adjusting_refuses_bad_input_on_its_field(
    admin_client: Client, amount: object, fields: dict[str, str], field: str
) -> None:
    wallet = make_wallet(credits=10)
    before = stored()
    answer = adjust(admin_client, wallet, amount, **fields)
    assert answer.status_code == 200
    assert list(answer.context["form"].errors) == [field]
    assert stored() == before


@pytest.mark.behaviour("ADM-04")
@pytest.mark.parametrize("permissions", [("view_wallet", "change_wallet"), ("adjust_wallet",), ()])
def test_adjusting_needs_the_permissions_to_view_and_to_adjust(permissions: tuple[str, ...]) -> None:
    wallet = make_wallet()
    client = staff_client(*permissions)
    token = "7e57ab1e-0000-4000-8000-000000000000"
    assert client.get(page_url(wallet, "adjust")).status_code == 403
    sent = {"amount": 5, "reason": "mine", "token": token}
    assert client.post(page_url(wallet, "adjust"), sent).status_code == 403
    assert not Transaction.objects.exists()


@pytest.mark.behaviour("ADM-04")
def test_adjusting_is_offered_to_those_who_may(db: None) -> None:
    wallet = make_wallet()
    client = staff_client("view_wallet", "adjust_wallet")
    assert page_url(wallet, "adjust") in client.get(page_url(wallet)).content.decode()
    adjust(client, wallet, 5)
    assert wallet.transactions.get().metadata["actor"]["name"] == "clerk"


def test_adjusting_is_not_offered_to_those_who_may_not(db: None) -> None:
    wallet = make_wallet()
    assert (
        page_url(wallet, "adjust") not in staff_client("view_wallet").get(page_url(wallet)).content.decode()
    )


def test_adjusting_sends_visitors_to_the_login(client: Client) -> None:
    answer = client.get(page_url(make_wallet(), "adjust"))
    assert answer.status_code == 302
    assert "/login/" in answer.headers["Location"]


def test_adjusting_needs_the_csrf_token(admin_user: User) -> None:
    wallet = make_wallet()
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(admin_user)
    sent = {"amount": 5, "reason": "mine", "token": token_shown(strict, wallet)}
    assert strict.post(page_url(wallet, "adjust"), sent).status_code == 403
    assert not Transaction.objects.exists()


@pytest.mark.parametrize("key", ["4711", "nothing"])
def test_adjusting_a_wallet_that_does_not_exist_is_not_found(admin_client: Client, key: str) -> None:
    assert admin_client.get(f"/admin/usage_credits/wallet/{key}/adjust/").status_code == 404


def test_adjusting_shows_what_there_is(admin_client: Client) -> None:
    shown = admin_client.get(page_url(make_wallet(credits=10), "adjust")).content.decode()
    assert "has 10 credits, of which 10 can be taken now." in shown

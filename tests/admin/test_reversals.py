from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from tests.admin.browsing import messages_of, page_url, staff_client, statements_for, token_on
from tests.admin.rows import make_fulfillment
from tests.app.models import User
from tests.factories import amounts_of, configured, days, make_user, make_wallet, stored
from usage_credits import detach_owner
from usage_credits.admin.reversals import STAYS
from usage_credits.ledger.reversals import IRREVERSIBLE
from usage_credits.ledger.verification import verify
from usage_credits.models import Debt, Transaction, Wallet

pytestmark = pytest.mark.django_db

PERMISSIONS = ("view_wallet", "view_transaction", "adjust_wallet")
TOKEN = "7e57ab1e-0000-4000-8000-000000000000"


def reverse(client: Client, row: Transaction, **fields: Any) -> Any:
    """Open the form, fill it in and send it; follows to the page that answers."""
    filled = {"reason": "mistake", "token": fields.get("token") or token_on(client, form_of(row)), **fields}
    return client.post(form_of(row), filled, follow=True)


def form_of(row: Transaction) -> str:
    return page_url(row, "reverse")


def logged(wallet: Wallet) -> list[str]:
    return [entry.get_change_message() for entry in LogEntry.objects.filter(object_id=str(wallet.pk))]


@pytest.mark.behaviour("ADM-04")
def test_debit_is_given_back_with_reason_and_user(admin_client: Client, admin_user: User) -> None:
    wallet = make_wallet(credits=100)
    debit = wallet.debit(40)
    answer = reverse(admin_client, debit, reason="not delivered")
    row = wallet.transactions.latest("pk")
    assert (row.amount, row.category, row.reverses) == (40, "reversal", debit)
    assert row.metadata["reason"] == "not delivered"
    assert row.metadata["actor"] == {"id": admin_user.pk, "name": "admin"}
    assert answer.redirect_chain == [(page_url(wallet), 302)]
    assert messages_of(answer) == [f"Reversed transaction {debit.pk} by +40: not delivered"]
    assert logged(wallet) == messages_of(answer)
    assert list(verify()) == []


def test_credit_is_taken_back_and_what_was_spent_is_claimed(admin_client: Client) -> None:
    wallet = make_wallet()
    gift = wallet.credit(100)
    wallet.debit(70)
    answer = reverse(admin_client, gift)
    assert amounts_of(wallet) == [100, -70, -30]
    assert messages_of(answer) == [
        f"Reversed transaction {gift.pk} by -30, with a claim to 70 of the next credits: mistake"
    ]
    wallet.credit(100)
    assert wallet.balance == 30
    assert wallet.transactions.latest("pk").metadata["actor"]["name"] == "admin"


def test_either_side_of_a_transfer_reverses_all_of_it(admin_client: Client) -> None:
    sender, receiver = make_wallet(credits=100), make_wallet()
    moved = sender.transfer_to(receiver, 60)
    arrived = moved.inbound_transaction
    assert arrived
    shown = admin_client.get(form_of(arrived)).content.decode()
    assert f"transfer of 60 from {sender.owner} to {receiver.owner}" in shown
    answer = reverse(admin_client, arrived, reason="wrong wallet")
    assert (sender.balance, receiver.balance) == (100, 0)
    assert answer.redirect_chain == [(page_url(receiver), 302)]
    assert logged(receiver) == [f"Reversed transaction {arrived.pk} by -60: wrong wallet"]
    assert logged(sender) == [f"Reversed transaction {arrived.pk} by +60: wrong wallet"]
    assert "has been reversed" in admin_client.get(form_of(moved.outbound_transaction)).content.decode()


@pytest.mark.behaviour("ADM-04")
@pytest.mark.parametrize("kind", ["debit", "credit", "spent credit"])
def test_sending_the_form_twice_reverses_once(admin_client: Client, kind: str) -> None:
    wallet = make_wallet()
    row = wallet.credit(50)
    if kind != "credit":
        debit = wallet.debit(50)
        row = debit if kind == "debit" else row
    token = token_on(admin_client, form_of(row))
    reverse(admin_client, row, token=token)
    before = stored()
    again = reverse(admin_client, row, token=token)
    assert messages_of(again) == ["This reversal had been booked before; nothing was booked again."]
    assert again.redirect_chain == [(page_url(wallet), 302)]
    assert stored() == before
    assert len(logged(wallet)) == 1


def test_another_form_of_a_reversed_row_says_so_and_books_nothing(admin_client: Client) -> None:
    debit = make_wallet(credits=100).debit(40)
    token = token_on(admin_client, form_of(debit))
    debit.reverse(reason="first")
    before = stored()
    for answer in (admin_client.get(form_of(debit)), reverse(admin_client, debit, token=token)):
        shown = answer.content.decode()
        assert answer.status_code == 200
        assert "This transaction has been reversed." in shown
        assert 'name="reason"' not in shown
    assert stored() == before
    assert not LogEntry.objects.exists()


def expiration() -> Transaction:
    with time_machine.travel(timezone.now() - days(3)):
        wallet = make_wallet()
        wallet.credit(5, expires_at=timezone.now() + days(1))
    wallet.credit(1)
    return wallet.transactions.get(category="expiration")


def refund() -> Transaction:
    sold = make_fulfillment()
    sold.wallet.credit(5, fulfillment=sold)
    return sold.wallet.debit(5, category="credit_pack_refund", fulfillment=sold)


def reversal() -> Transaction:
    return make_wallet(credits=5).debit(5).reverse()[0]


@pytest.mark.parametrize("make", [expiration, refund, reversal])
def test_row_that_stays_is_refused_in_words(admin_client: Client, make: Callable[[], Transaction]) -> None:
    row = make()
    before = stored()
    for answer in (admin_client.get(form_of(row)), reverse(admin_client, row, token=TOKEN)):
        shown = answer.content.decode()
        assert answer.status_code == 200
        assert str(STAYS[row.category]) in shown
        assert 'name="reason"' not in shown
    assert stored() == before


def test_each_kind_of_row_that_the_ledger_keeps_is_refused_in_words() -> None:
    assert set(STAYS) == set(IRREVERSIBLE)


def test_credit_of_which_nothing_is_left_is_refused_on_the_form(admin_client: Client) -> None:
    with time_machine.travel(timezone.now() - days(3)):
        wallet = make_wallet()
        gift = wallet.credit(5, expires_at=timezone.now() + days(1))
    wallet.credit(1)
    before = stored()
    answer = reverse(admin_client, gift)
    assert answer.context["form"].non_field_errors() == [
        "Nothing is left of these credits: they expired, or went with a refund."
    ]
    assert stored() == before
    assert not LogEntry.objects.exists()


def test_balance_beyond_what_can_be_stored_is_refused_on_the_form(admin_client: Client) -> None:
    wallet = make_wallet(credits=2**63 - 1)
    debit = wallet.debit(10)
    wallet.credit(10)
    before = stored()
    answer = reverse(admin_client, debit)
    assert answer.context["form"].non_field_errors()
    assert stored() == before


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"reason": ""}, "reason"),
        ({"reason": "   "}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"reason": "a\x00b"}, "reason"),
        ({"token": "none"}, "token"),
    ],
)
def test_reversing_refuses_bad_input_on_its_field(
    admin_client: Client, fields: dict[str, str], field: str
) -> None:
    debit = make_wallet(credits=10).debit(5)
    before = stored()
    answer = reverse(admin_client, debit, **fields)
    assert answer.status_code == 200
    assert list(answer.context["form"].errors) == [field]
    assert stored() == before


@pytest.mark.behaviour("ADM-04")
@pytest.mark.parametrize("missing", PERMISSIONS)
def test_reversing_needs_the_permissions_to_view_and_to_adjust(missing: str) -> None:
    wallet = make_wallet(credits=10)
    debit = wallet.debit(5)
    client = staff_client(*{*PERMISSIONS} - {missing})
    assert client.get(form_of(debit)).status_code == 403
    assert client.post(form_of(debit), {"reason": "mine", "token": TOKEN}).status_code == 403
    assert client.get("/admin/usage_credits/transaction/4711/reverse/").status_code == 403
    assert wallet.balance == 5
    for page in (page_url(debit), page_url(wallet)):
        answer = client.get(page)
        assert answer.status_code == 403 or form_of(debit) not in answer.content.decode()


def test_reversing_is_offered_to_those_who_may(db: None) -> None:
    wallet = make_wallet(credits=10)
    debit = wallet.debit(5)
    client = staff_client(*PERMISSIONS)
    for page in (page_url(debit), page_url(wallet)):
        assert form_of(debit) in client.get(page).content.decode()
    reverse(client, debit)
    assert wallet.balance == 10
    for page in (page_url(debit), page_url(wallet)):
        assert form_of(debit) not in client.get(page).content.decode()


def test_reversing_sends_visitors_to_the_login(client: Client) -> None:
    answer = client.get(form_of(make_wallet(credits=10).debit(5)))
    assert answer.status_code == 302
    assert "/login/" in answer.headers["Location"]


def test_reversing_needs_the_csrf_token(admin_user: User) -> None:
    wallet = make_wallet(credits=10)
    debit = wallet.debit(5)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(admin_user)
    assert strict.post(form_of(debit), {"reason": "mine", "token": TOKEN}).status_code == 403
    assert wallet.balance == 5


@pytest.mark.parametrize("key", ["4711", "nothing"])
def test_reversing_a_row_that_does_not_exist_is_not_found(admin_client: Client, key: str) -> None:
    assert admin_client.get(f"/admin/usage_credits/transaction/{key}/reverse/").status_code == 404


def test_row_of_a_detached_wallet_is_reversed(admin_client: Client) -> None:
    user = make_user(credits=10)
    debit = user.wallet().debit(5)
    detach_owner(user)
    assert "(detached)" in admin_client.get(form_of(debit)).content.decode()
    reverse(admin_client, debit)
    assert debit.wallet.balance == 10


def test_charge_that_was_partly_corrected_is_reversed_for_the_rest(admin_client: Client) -> None:
    user = make_user(credits=100)
    charge = user.record_usage("img", message="msg_1", mb=20)
    assert charge
    user.record_usage("img", message="msg_1", mb=5)
    assert user.credits == 85
    assert form_of(charge) in admin_client.get(page_url(user.wallet())).content.decode()
    reverse(admin_client, charge)
    assert user.credits == 100
    assert "has been reversed" in admin_client.get(form_of(charge)).content.decode()


def test_reversal_of_a_debt_lowers_it(admin_client: Client) -> None:
    wallet = make_wallet()
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        debit = wallet.debit(30)
    reverse(admin_client, debit)
    assert wallet.balance == 0
    assert not Debt.objects.exists()


def test_hostile_reason_is_escaped_wherever_it_is_shown(admin_client: Client) -> None:
    wallet = make_wallet(credits=10)
    debit = wallet.debit(5, metadata={"note": "<script>alert(2)</script>"})
    answer = reverse(admin_client, debit, reason="<script>alert(1)</script>")
    undone = page_url(wallet.transactions.latest("pk"))
    pages = [admin_client.get(url) for url in (undone, page_url(debit), page_url(wallet, "history"))]
    for page in (answer, *pages):
        shown = page.content.decode()
        assert "&lt;script&gt;alert(" in shown
        assert "<script>alert(" not in shown


def test_page_takes_as_many_statements_for_many_rows_as_for_few(admin_client: Client) -> None:
    wallet = make_wallet(credits=10)
    few = statements_for(admin_client, form_of(wallet.debit(1)))
    for _number in range(20):
        wallet.credit(1)
    assert statements_for(admin_client, form_of(wallet.debit(25))) == few

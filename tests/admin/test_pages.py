from __future__ import annotations

from collections.abc import Callable

import pytest
import time_machine
from django.db import models
from django.test import Client
from django.utils import timezone

from tests.admin import rows
from tests.admin.browsing import list_url, page_url, staff_client, statements_for
from tests.factories import TeamFactory, days, lot_of, make_user, make_wallet
from usage_credits.admin.tables import SHOWN
from usage_credits.models import Fulfillment, HeldLot, Hold, Lot, SpendingCap, Transaction, Transfer, Wallet

pytestmark = pytest.mark.django_db


def wallet_with(number: int) -> Wallet:
    wallet = make_wallet()
    for _ in range(number):
        wallet.credit(10)
        rows.make_hold(wallet)
        rows.make_debt(rows.make_fulfillment(wallet))
        rows.make_cap(wallet)
    return wallet


def debit_paid_by(number: int) -> Transaction:
    wallet = make_wallet()
    for _ in range(number):
        wallet.credit(1)
    return wallet.debit(number)


def credit_spent_on(number: int) -> Transaction:
    wallet = make_wallet()
    credit = wallet.credit(100)
    for _ in range(number):
        wallet.debit(1)
        rows.make_key_alias(credit)
    return credit


def lot_spent_on(number: int) -> Lot:
    lot = lot_of(credit_spent_on(number))
    for _ in range(number):
        HeldLot.objects.create(hold=rows.make_hold(), lot=lot, amount=1)
    return lot


def hold_of(number: int) -> Hold:
    hold = rows.make_hold()
    for _ in range(number):
        rows.make_held_lot(hold)
    return hold


def fulfillment_of(number: int) -> Fulfillment:
    fulfillment = rows.make_fulfillment()
    for _ in range(number):
        fulfillment.wallet.credit(5, fulfillment=fulfillment)
        rows.make_debt(fulfillment)
        rows.make_notice(fulfillment)
    return fulfillment


def transfer_of(number: int) -> Transfer:
    transfer = rows.make_transfer()
    for row in [rows.make_transaction() for _ in range(number)]:
        Transaction.objects.bulk_create(
            [
                Transaction(
                    wallet=row.wallet,
                    transfer=transfer,
                    amount=1,
                    category="transfer_in",
                    balance_before=10,
                    balance_after=11,
                )
            ]
        )
    return transfer


@pytest.mark.parametrize(
    "make",
    [
        wallet_with,
        debit_paid_by,
        credit_spent_on,
        lot_spent_on,
        hold_of,
        fulfillment_of,
        transfer_of,
    ],
)
def test_page_takes_as_many_statements_for_fifty_related_rows_as_for_one(
    admin_client: Client, make: Callable[[int], models.Model]
) -> None:
    few = statements_for(admin_client, page_url(make(1)))
    assert statements_for(admin_client, page_url(make(50))) == few


def test_wallet_page_shows_what_can_be_spent_now(admin_client: Client) -> None:
    with time_machine.travel(timezone.now() - days(3)):
        wallet = make_wallet(credits=70)
        wallet.credit(500, expires_at=timezone.now() + days(1))
    Wallet.objects.filter(pk=wallet.pk).update(booked_held=30)
    page = admin_client.get(page_url(wallet))
    shown = page.context["original"]
    admin_page = page.context["adminform"].model_admin
    assert (admin_page.balance(shown), admin_page.held(shown), admin_page.available(shown)) == (70, 30, 40)
    assert '<div class="readonly">40</div>' in page.content.decode()


def test_wallet_page_links_to_its_owner_lots_and_transactions(admin_client: Client) -> None:
    team = TeamFactory.create()
    row = team.give_credits(5)
    shown = admin_client.get(page_url(team.wallet())).content.decode()
    for related in (team, row, lot_of(row)):
        assert page_url(related) in shown


def test_wallet_page_shows_lots_in_spending_order(admin_client: Client) -> None:
    wallet = make_wallet()
    never = wallet.credit(1)
    later = wallet.credit(2, expires_at=timezone.now() + days(20))
    soon = wallet.credit(3, expires_at=timezone.now() + days(10))
    tables = admin_client.get(page_url(wallet)).context["related_tables"]
    (lots,) = [table for table in tables if table.title == "Open lots"]
    assert [row[1] for row in lots.rows] == [str(credit.amount) for credit in (soon, later, never)]


def test_wallet_page_shows_a_bounded_number_and_links_to_the_rest(admin_client: Client) -> None:
    wallet = wallet_with(SHOWN + 5)
    make_wallet(credits=1)
    tables = admin_client.get(page_url(wallet)).context["related_tables"]
    for table in tables:
        assert len(table.rows) == SHOWN
        everything = admin_client.get(table.more)
        assert everything.context["cl"].result_count == SHOWN + 5


def test_cap_shows_what_it_leaves_now_also_in_the_list_and_on_the_wallets_page(admin_client: Client) -> None:
    with time_machine.travel("2026-01-14 12:00", tick=False) as clock:
        wallet = make_wallet(credits=100)
        cap = wallet.set_cap("member 1", 50, every="day")
        wallet.debit(20, attributed_to="member 1")
        clock.shift(days(1))
        wallet.hold(15, attributed_to="member 1")
        page = admin_client.get(page_url(cap))
        shown, admin_page = page.context["original"], page.context["adminform"].model_admin
        assert (admin_page.spent_now(shown), admin_page.held(shown), admin_page.left(shown)) == (0, 15, 35)
        assert shown.spent == 20
        for url in (page_url(cap), list_url(SpendingCap), page_url(wallet)):
            assert "Jan. 16, 2026, midnight" in admin_client.get(url).content.decode()


def test_wallet_page_hides_tables_that_the_user_may_not_view(db: None) -> None:
    wallet = make_wallet(credits=5)
    answer = staff_client("view_wallet", "view_lot").get(page_url(wallet))
    assert [table.title for table in answer.context["related_tables"]] == ["Open lots"]


def test_wallet_page_of_an_owner_that_is_gone_is_shown(admin_client: Client) -> None:
    user = make_user(credits=5)
    wallet = user.wallet()
    type(user).objects.filter(pk=user.pk)._raw_delete("default")
    assert f"(app.user {user.pk})" in admin_client.get(page_url(wallet)).content.decode()


def test_debit_page_shows_which_lots_paid_what(admin_client: Client) -> None:
    wallet = make_wallet()
    first = wallet.credit(3, expires_at=timezone.now() + days(1))
    second = wallet.credit(10)
    (paid,) = [
        table
        for table in admin_client.get(page_url(wallet.debit(5))).context["related_tables"]
        if table.title == "Paid by"
    ]
    assert [
        (row[2], page_url(credit) in row[4]) for row, credit in zip(paid.rows, (first, second), strict=True)
    ] == [
        ("3", True),
        ("2", True),
    ]


def test_credit_page_shows_its_lot_what_it_paid_and_what_it_belongs_to(admin_client: Client) -> None:
    fulfillment = rows.make_fulfillment()
    credit = fulfillment.wallet.credit(10, fulfillment=fulfillment, cash=4_900)
    debit = fulfillment.wallet.debit(4)
    shown = admin_client.get(page_url(credit)).content.decode()
    for related in (fulfillment, lot_of(credit), debit):
        assert page_url(related) in shown
    assert "4900 (minor unit, usd)" in shown


def test_transaction_page_shows_its_reversals(admin_client: Client) -> None:
    debit = make_wallet(credits=5).debit(5)
    (reversal,) = Transaction.objects.bulk_create(
        [
            Transaction(
                wallet=debit.wallet,
                amount=5,
                category="reversal",
                balance_before=0,
                balance_after=5,
                reverses=debit,
            )
        ]
    )
    assert page_url(reversal) in admin_client.get(page_url(debit)).content.decode()
    assert page_url(debit) in admin_client.get(page_url(reversal)).content.decode()


def test_pages_escape_what_owners_wrote(admin_client: Client) -> None:
    user = make_user()
    type(user).objects.filter(pk=user.pk).update(username="<script>alert(1)</script>")
    row = user.give_credits(5, reason="<b>bonus</b>")
    for url in (page_url(user.wallet()), page_url(row), list_url(Transaction), list_url(Wallet)):
        shown = admin_client.get(url).content.decode()
        assert "<script>alert(1)" not in shown
        assert "<b>bonus" not in shown


def test_lots_show_their_priority_and_scope(admin_client: Client) -> None:
    wallet = make_wallet()
    lot = lot_of(wallet.credit(10, priority=-77, scope=["report", "mail"]))
    for address in (page_url(lot), list_url(Lot), page_url(wallet)):
        shown = admin_client.get(address).content.decode()
        assert "-77" in shown
        assert "mail, report" in shown

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.admin import rows
from tests.admin.browsing import page_url, staff_client, statements_for
from tests.factories import TeamFactory, add_history, add_lots, configured, days, make_user, make_wallet
from usage_credits import SubscriptionPlan, credits, detach_owner, start_plan
from usage_credits.admin.tables import Table
from usage_credits.models import Transaction, Wallet

pytestmark = pytest.mark.django_db

PLANS = [SubscriptionPlan("free", gives=credits(50).every("month"), unused_credits="rollover")]


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel("2026-03-10 12:00", tick=False) as clock:
        yield clock


def page_of(client: Client, wallet: Wallet) -> Any:
    answer = client.get(page_url(wallet))
    assert answer.status_code == 200
    return answer


def table_of(answer: Any, title: str = "Latest transactions") -> Table:
    tables: list[Table] = answer.context["related_tables"]
    (found,) = [table for table in tables if table.title == title]
    return found


def column(table: Table, name: str) -> list[str]:
    return [str(row[table.header.index(name)]) for row in table.rows]


@pytest.mark.usefixtures("clock")
def test_wallet_page_shows_what_there_is(admin_client: Client) -> None:
    wallet = make_wallet(credits=70)
    wallet.hold(30)
    rows.make_debt(rows.make_fulfillment(wallet))
    Wallet.objects.filter(pk=wallet.pk).update(debt=2, claims=9)
    shown = page_of(admin_client, wallet).content.decode()
    figures = re.findall(r'<label[^>]*>([\w ]+):</label>\s*<div class="readonly">([\d-]+)</div>', shown)
    assert figures[:5] == [
        ("Balance", "70"),
        ("Held", "30"),
        ("Available", "40"),
        ("Debt", "2"),
        ("Claims", "9"),
    ]


def test_wallet_page_draws_the_balance_of_ninety_days(admin_client: Client, clock: Any) -> None:
    wallet = make_wallet(credits=70)
    clock.shift(days(2))
    wallet.debit(20)
    answer = page_of(admin_client, wallet)
    chart = answer.context["chart"]
    assert len(chart.days) == 90
    assert [day.balance for day in chart.days[-4:]] == [0, 70, 70, 50]
    assert "Balance over the last 90 days" in answer.content.decode()
    assert "usage_credits/chart.css" in answer.content.decode()
    assert chart.line in answer.content.decode()


@pytest.mark.usefixtures("clock")
def test_wallet_page_tells_what_is_to_come(admin_client: Client) -> None:
    user = make_user(credits=30)
    user.hold_credits_for("report", ttl=days(2))
    user.give_credits(10, expires_at=timezone.now() + days(9))
    with configured(SUBSCRIPTION_PLANS=PLANS):
        start_plan(user, "free")
        coming = page_of(admin_client, user.wallet()).context["coming"]
    assert coming.rows[:3] == [
        ["March 12, 2026, noon", "a hold ends", "+25", "report"],
        ["March 19, 2026, noon", "credits expire", "-10", "-"],
        ["April 10, 2026, noon", "credits come", "+50", "free"],
    ]


def test_wallet_page_says_that_nothing_is_to_come(admin_client: Client) -> None:
    answer = page_of(admin_client, make_wallet())
    assert answer.context["coming"].rows == []
    assert answer.content.decode().count("None.") == 1 + len(answer.context["related_tables"])


def test_statement_tells_which_credits_paid_how_much(admin_client: Client) -> None:
    wallet = make_wallet()
    first, second = wallet.credit(10, category="signup_bonus"), wallet.credit(20, category="referral_bonus")
    debit = wallet.debit(15)
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        wallet.debit(50)
    statement = table_of(page_of(admin_client, wallet))
    owing, paid, *credited = column(statement, "paid by")
    assert f'10 of <a href="{page_url(first)}">#{first.pk} Signup Bonus</a>' in paid
    assert f'5 of <a href="{page_url(second)}">#{second.pk} Referral Bonus</a>' in paid
    assert page_url(debit) not in paid
    assert (owing.count(" of "), credited) == (1, ["-", "-"])


def test_statement_tells_a_few_of_many_payers_and_where_the_rest_is(admin_client: Client) -> None:
    wallet = make_wallet()
    add_lots(wallet, 50)
    debit = wallet.debit(40)
    paid, *_credits = column(table_of(page_of(admin_client, wallet)), "paid by")
    assert paid.count("1 of ") == 5
    assert f'<a href="{page_url(debit)}">and more</a>' in paid
    allocations = table_of(admin_client.get(page_url(debit)), "Paid by")
    assert allocations.more


def test_statement_tells_what_can_be_reversed_and_what_was(admin_client: Client) -> None:
    wallet, other = make_wallet(credits=100), make_wallet()
    sold = rows.make_fulfillment(wallet)
    wallet.credit(5, fulfillment=sold)
    wallet.debit(5, category="credit_pack_refund", fulfillment=sold)
    with time_machine.travel(timezone.now() - days(3)):
        wallet.credit(1, expires_at=timezone.now() + days(1))
    undone = wallet.debit(10)
    undone.reverse()
    moved_back = wallet.transfer_to(other, 2)
    moved_back.reverse()
    wallet.transfer_to(other, 3)
    table = table_of(page_of(admin_client, wallet))
    told = {
        (row[2], "reversed" if row[-1] == "reversed" else "link" if "href" in str(row[-1]) else row[-1])
        for row in table.rows
    }
    assert told == {
        ("Credit Added", "link"),
        ("Credit Deducted", "reversed"),
        ("Manual Adjustment", "link"),
        ("Credit Pack Refund", "-"),
        ("Expiration", "-"),
        ("Reversal", "-"),
        ("Transfer Out", "reversed"),
        ("Transfer Out", "link"),
    }


def test_statement_tells_of_a_transfer_that_was_reversed_after_all_of_it_had_expired(
    admin_client: Client, clock: Any
) -> None:
    sender, receiver = make_wallet(), make_wallet()
    sender.credit(30, expires_at=timezone.now() + days(1))
    moved = sender.transfer_to(receiver, 30)
    clock.shift(days(2))
    moved.reverse()
    for wallet in (sender, receiver):
        statement = table_of(page_of(admin_client, wallet))
        legs = zip(column(statement, "description"), column(statement, "reversal"), strict=True)
        assert {told for what, told in legs if what.startswith("Transfer")} == {"reversed"}


def wallet_with(number: int) -> Wallet:
    wallet = make_wallet()
    add_lots(wallet, number, expires_in=days(30))
    other = make_wallet()
    for _ in range(2):
        wallet.debit(number // 4)
        wallet.debit(1).reverse()
        wallet.transfer_to(other, 1)
    rows.make_recharge(wallet)
    return wallet


@pytest.mark.behaviour("ADM-04")
def test_wallet_page_takes_as_many_statements_for_a_thousand_rows_and_lots_as_for_ten(
    admin_client: Client,
) -> None:
    few = statements_for(admin_client, page_url(wallet_with(10)))
    assert statements_for(admin_client, page_url(wallet_with(1_000))) == few


def test_wallet_page_counts_no_rows(admin_client: Client) -> None:
    wallet = make_wallet()
    add_history(wallet, 2_000)
    with CaptureQueriesContext(connection) as statements:
        page_of(admin_client, wallet)
    assert not [one["sql"] for one in statements if "COUNT(" in one["sql"].upper()]


def test_staff_who_may_only_view_wallets_see_no_rows_and_no_ways_to_post(db: None) -> None:
    wallet = make_wallet(credits=10)
    debit = wallet.debit(5)
    answer = page_of(staff_client("view_wallet"), wallet)
    assert answer.context["related_tables"] == []
    assert (answer.context["chart"], answer.context["coming"]) == (None, None)
    shown = answer.content.decode()
    for page in (
        page_url(debit),
        page_url(debit, "reverse"),
        page_url(wallet, "adjust"),
        page_url(wallet, "statement"),
    ):
        assert page not in shown


def test_staff_who_may_view_but_not_post_see_the_statement_alone(db: None) -> None:
    wallet = make_wallet(credits=10)
    debit = wallet.debit(5)
    answer = page_of(staff_client("view_wallet", "view_transaction", "view_allocation"), wallet)
    statement = table_of(answer)
    assert statement.header[-1] == "paid by"
    assert page_url(debit) in answer.content.decode()
    assert page_url(wallet, "statement") in answer.content.decode()
    assert page_url(debit, "reverse") not in answer.content.decode()


def test_staff_who_may_not_view_allocations_see_rows_without_what_paid_them(db: None) -> None:
    wallet = make_wallet(credits=10)
    wallet.debit(5)
    statement = table_of(page_of(staff_client("view_wallet", "view_transaction"), wallet))
    assert statement.header[-1] == "expires at"


def test_wallet_page_of_a_detached_owner_is_its_statement_all_the_same(admin_client: Client) -> None:
    user = make_user(credits=10)
    wallet, debit = user.wallet(), user.wallet().debit(5)
    detach_owner(user)
    answer = page_of(admin_client, wallet)
    assert "(detached)" in answer.content.decode()
    assert column(table_of(answer), "amount")[0].count("-5") == 1
    assert page_url(debit, "reverse") in answer.content.decode()


def test_wallet_page_escapes_what_others_wrote(admin_client: Client) -> None:
    hostile = "<script>alert(1)</script>"
    team = TeamFactory.create(name=hostile)
    wallet = team.wallet()
    wallet.credit(10, metadata={"note": hostile})
    wallet.debit(
        5, category="operation_charge", operation=hostile, attributed_to=hostile, metadata={"note": hostile}
    )
    wallet.hold(5, operation=hostile)
    wallet.set_cap(hostile, 5, every="day")
    shown = page_of(admin_client, wallet).content.decode()
    assert "alert(1)" in shown.lower()
    assert "<script>alert(1)" not in shown.lower()


def test_wallet_page_shows_recharges_where_there_were_any(admin_client: Client) -> None:
    titles = [table.title for table in page_of(admin_client, make_wallet()).context["related_tables"]]
    assert not {"Recharge setting", "Recharges"} & set(titles)
    recharge = rows.make_recharge()
    answer = page_of(admin_client, recharge.wallet)
    for title, row in (("Recharge setting", recharge.wallet.recharge_setting), ("Recharges", recharge)):
        assert page_url(row) in str(table_of(answer, title).rows[0][0])


def test_tables_are_regions_that_the_keyboard_reaches(admin_client: Client) -> None:
    shown = page_of(admin_client, wallet_with(10)).content.decode()
    regions = re.findall(r'role="region" aria-labelledby="([\w-]+)" tabindex="0"', shown)
    headings = re.findall(r'<h2 id="(related-[\w-]+)">', shown)
    assert regions
    assert set(regions) <= set(headings)
    assert len(headings) == len(set(headings))


@pytest.mark.urls("tests.admin.second_site")
def test_another_admin_site_leads_to_its_own_pages(admin_client: Client) -> None:
    wallet = make_wallet(credits=10)
    debit = wallet.debit(5)
    site = "/support/usage_credits"
    pages = [
        f"{site}/wallet/{wallet.pk}/change/",
        f"{site}/wallet/{wallet.pk}/adjust/",
        f"{site}/transaction/{debit.pk}/reverse/",
        f"{site}/transaction/",
    ]
    for page in pages:
        shown = admin_client.get(page).content.decode()
        assert f'href="{site}/' in shown
        assert '"/admin/' not in shown
    sent = {"reason": "mistake", "token": "7e57ab1e-0000-4000-8000-000000000000", "amount": 5}
    for page in pages[1:3]:
        assert admin_client.post(page, sent).headers["Location"] == pages[0]
    assert admin_client.get(f"{site}/wallet/{wallet.pk}/statement.csv").status_code == 200
    assert wallet.balance == 15


@pytest.mark.urls("tests.admin.second_site")
def test_site_of_wallets_alone_shows_them_without_their_rows(admin_client: Client) -> None:
    wallet = make_wallet(credits=10)
    answer = admin_client.get(f"/wallets/usage_credits/wallet/{wallet.pk}/change/")
    assert answer.status_code == 200
    assert answer.context["related_tables"] == []
    assert Transaction.objects.exists()
    assert admin_client.get(f"/wallets/usage_credits/wallet/{wallet.pk}/statement.csv").status_code == 403

from __future__ import annotations

import csv
import datetime
import io
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests.admin.browsing import list_url, page_url, staff_client
from tests.factories import add_history, make_user, make_wallet
from usage_credits import detach_owner
from usage_credits.models import Transaction, Wallet
from usage_credits.statements.exports import COLUMNS, WALLET_COLUMNS

pytestmark = pytest.mark.django_db

EXPORT = "admin:usage_credits_transaction_export"


def read(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200
    assert answer.streaming
    return list(csv.DictReader(io.StringIO(b"".join(answer.streaming_content).decode())))


def export_of(client: Client, wallet: Wallet, **query: str) -> Any:
    return client.get(page_url(wallet, "statement"), query)


def amounts(lines: list[dict[str, str]]) -> list[int]:
    return [int(line["amount"]) for line in lines]


def test_statement_has_the_rows_of_its_wallet_the_oldest_first(admin_client: Client) -> None:
    wallet = make_wallet(credits=10)
    make_wallet(credits=7)
    wallet.debit(4)
    answer = export_of(admin_client, wallet)
    assert answer.headers["Content-Disposition"] == f'attachment; filename="statement-{wallet.pk}.csv"'
    lines = read(answer)
    assert tuple(lines[0]) == COLUMNS
    assert amounts(lines) == [10, -4]


def test_statement_is_narrowed_by_what_is_asked_for(admin_client: Client) -> None:
    with time_machine.travel("2026-03-10 12:00") as clock:
        wallet = make_wallet(credits=10)
        clock.move_to(datetime.datetime(2026, 3, 12, tzinfo=datetime.UTC))
        wallet.debit(4, attributed_to="key_1", operation="mail")
        wallet.debit(2)
    for query, expected in [
        ({"direction": "out"}, [-4, -2]),
        ({"attributed_to": "key_1"}, [-4]),
        ({"operation": "mail", "category": "credit_deducted"}, [-4]),
        ({"until": "2026-03-11"}, [10]),
        ({"since": "2026-03-12", "unknown": "x"}, [-4, -2]),
    ]:
        assert amounts(read(export_of(admin_client, wallet, **query))) == expected


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"since": "soon"}, "since"),
        ({"since": "2026-03-12", "until": "2026-03-11"}, "until"),
        ({"direction": "<b>up</b>"}, "direction"),
        ({"operation": "x" * 256}, "operation"),
    ],
)
def test_statement_refuses_what_is_no_filter_by_its_name(
    admin_client: Client, query: dict[str, str], field: str
) -> None:
    answer = export_of(admin_client, make_wallet(), **query)
    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.content.decode().startswith(f"{field}: ")


@pytest.mark.parametrize("permissions", [("view_wallet",), ("view_transaction",), ()])
def test_statement_needs_the_permissions_to_view_wallets_and_transactions(
    permissions: tuple[str, ...],
) -> None:
    client = staff_client(*permissions)
    assert export_of(client, make_wallet(credits=5)).status_code == 403
    assert client.get("/admin/usage_credits/wallet/4711/statement.csv").status_code == 403


def test_statement_is_sent_to_staff_who_may_view(db: None) -> None:
    client = staff_client("view_wallet", "view_transaction")
    assert amounts(read(export_of(client, make_wallet(credits=5)))) == [5]


def test_statement_of_nobody_is_not_found(admin_client: Client) -> None:
    assert admin_client.get("/admin/usage_credits/wallet/4711/statement.csv").status_code == 404


def test_statement_sends_visitors_to_the_login(client: Client) -> None:
    assert "/login/" in export_of(client, make_wallet()).headers["Location"]


def test_statement_of_a_detached_wallet_is_sent(admin_client: Client) -> None:
    user = make_user(credits=5)
    wallet = user.wallet()
    detach_owner(user)
    assert amounts(read(export_of(admin_client, wallet))) == [5]


def test_statement_is_read_while_it_is_sent(admin_client: Client) -> None:
    wallet = make_wallet()
    add_history(wallet, 2_500)
    answer: Any = export_of(admin_client, wallet)
    with CaptureQueriesContext(connection) as statements:
        parts = iter(answer.streaming_content)
        next(parts)
        assert next(parts).count(b"\r\n") == 1_000
    assert len(statements) == 1
    assert sum(part.count(b"\r\n") for part in parts) == 1_500


def test_list_is_exported_with_its_filters_and_all_of_its_pages(admin_client: Client) -> None:
    wallet = make_wallet(credits=100)
    for number in range(60):
        wallet.debit(1, attributed_to=f"key {number % 2}")
    team_row = make_wallet(credits=7)
    shown = admin_client.get(f"{list_url(Transaction)}?direction=debit&q='key 1'&p=1")
    link = reverse(EXPORT)
    assert f'href="{link}?direction=debit&amp;q=%27key+1%27"' in shown.content.decode()
    answer = admin_client.get(link, {"direction": "debit", "q": "'key 1'"})
    assert answer.headers["Content-Disposition"] == 'attachment; filename="transactions.csv"'
    lines = read(answer)
    assert amounts(lines) == [-1] * 30
    assert tuple(lines[0]) == COLUMNS + WALLET_COLUMNS
    assert {line["owner_id"] for line in lines} == {str(wallet.owner_id)}
    everything = read(admin_client.get(link))
    assert len(everything) == 62
    assert everything[-1]["owner_id"] == str(team_row.owner_id)


def test_rest_of_a_wallets_statement_is_exported_from_its_list(admin_client: Client) -> None:
    wallet = make_wallet(credits=10)
    make_wallet(credits=7)
    assert amounts(read(admin_client.get(reverse(EXPORT), {"wallet__id__exact": wallet.pk}))) == [10]


@pytest.mark.parametrize("query", [{"created_at__gte": "soon"}, {"created_at__gte__nothing": "1"}])
def test_list_refuses_what_is_no_filter(admin_client: Client, query: dict[str, str]) -> None:
    assert admin_client.get(reverse(EXPORT), query).status_code == 400


def test_list_is_exported_to_those_who_may_view_it(db: None) -> None:
    make_wallet(credits=5)
    assert staff_client("view_wallet").get(reverse(EXPORT)).status_code == 403


def test_list_is_read_while_it_is_sent(admin_client: Client) -> None:
    add_history(make_wallet(), 2_500)
    answer: Any = admin_client.get(reverse(EXPORT))
    with CaptureQueriesContext(connection) as statements:
        parts = iter(answer.streaming_content)
        next(parts)
        assert next(parts).count(b"\r\n") == 1_000
    assert len(statements) == 1

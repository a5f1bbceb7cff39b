from __future__ import annotations

import datetime
import re
from typing import Any

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.db import connection
from django.test import AsyncClient, Client, override_settings
from django.test.utils import CaptureQueriesContext

from tests.app.models import User
from tests.factories import add_history, days, make_user
from tests.views.visiting import amounts, seen, statements_of, url, visitor
from usage_credits.models import Wallet
from usage_credits.views.statement import ROWS

START = datetime.datetime(2026, 3, 1, 23, 30, tzinfo=datetime.UTC)


def test_statement_is_of_the_owner_alone(client: Client, user: User) -> None:
    make_user(77)
    user.give_credits(5)
    user.wallet("gems").credit(9)
    assert amounts(seen(client.get(url("statement")))) == [5]
    assert amounts(seen(client.get(url("statement"), {"asset": "gems"}))) == [9]


def test_pages_follow_each_other_without_a_gap(client: Client, user: User) -> None:
    for number in range(1, 2 * ROWS + 2):
        user.give_credits(number)
    asked, pages = "", list[list[int]]()
    while True:
        source = seen(client.get(f"{url('statement')}?{asked}"))
        pages.append(amounts(source))
        older = re.search(r'rel="next" href="\?([^"]+)"', source)
        if older is None:
            break
        asked = older[1].replace("&amp;", "&")
    assert [len(page) for page in pages] == [ROWS, ROWS, 1]
    assert [amount for page in pages for amount in page] == list(range(2 * ROWS + 1, 0, -1))
    assert "Newest" in source


@pytest.mark.parametrize("asked", [{}, {"since": "2026-03-01"}, {"until": "2026-03-09", "direction": "in"}])
def test_pages_follow_each_other_where_rows_are_of_one_moment(user: User, asked: dict[str, str]) -> None:
    with time_machine.travel(START, tick=False) as clock:
        for number in range(1, 2 * ROWS + 2):
            user.give_credits(number)
            if number % 30 == 0:
                clock.shift(days(1))
        client, found, older = visitor(user), list[int](), dict[str, Any]()
        while True:
            page = client.get(url("statement"), {**asked, **older})
            found += [row.amount for row in page.context["rows"]]
            if not page.context["older"]:
                break
            older = {"before": page.context["rows"][-1].pk}
    assert found == list(range(2 * ROWS + 1, 0, -1))


def test_older_pages_keep_the_filters(client: Client, user: User) -> None:
    for _ in range(ROWS + 1):
        user.give_credits(2)
        user.spend_credits_on("mail")
    page = seen(client.get(url("statement"), {"direction": "out", "asset": "credits"}))
    older = re.search(r'rel="next" href="(\?[^"]+)"', page)
    assert older
    last = seen(client.get(url("statement") + older[1].replace("&amp;", "&")))
    assert amounts(last) == [-1]
    assert '<a href="?direction=out&amp;asset=credits"' in last


@pytest.mark.parametrize("asked", [{}, {"direction": "out"}, {"before": "2000000000"}])
def test_statement_takes_as_many_statements_for_a_thousand_rows_as_for_ten(
    db: None, asked: dict[str, str]
) -> None:
    def fill(number: int) -> Client:
        user = make_user()
        add_history(user.wallet(), number)
        return visitor(user)

    few = statements_of(fill(10), url("statement"), **asked)
    assert statements_of(fill(1_000), url("statement"), **asked) == few


def test_statement_counts_nothing(client: Client, user: User) -> None:
    add_history(user.wallet(), 200)
    with CaptureQueriesContext(connection) as captured:
        client.get(url("statement"))
    read = [one["sql"] for one in captured if "usage_credits_transaction" in one["sql"]]
    assert len(read) == 1
    assert f"LIMIT {ROWS + 1}" in read[0]
    assert "COUNT" not in read[0]


def test_owner_without_a_wallet_has_an_empty_statement(client: Client, user: User) -> None:
    Wallet.objects.all().delete()
    assert "There are no transactions yet." in seen(client.get(url("statement")))
    answer: Any = client.get(url("statement_csv"))
    assert len(answer.getvalue().decode().splitlines()) == 1


@override_settings(LANGUAGE_CODE="de", TIME_ZONE="Pacific/Auckland", USE_THOUSAND_SEPARATOR=True)
def test_statement_is_written_as_language_and_time_zone_have_it(client: Client, user: User) -> None:
    with time_machine.travel(START, tick=False):
        user.give_credits(1_234_567)
        client = visitor(user)
        assert seen(client.get(url("statement"))).count("+1.234.567 credits") == 1
        page = seen(client.get(url("statement"), {"since": "2026-03-02", "until": "2026-03-02"}))
    assert "2. März 2026" in page
    assert "12:30" in page
    assert "1.234.567 credits" in page


def test_keys_that_somebody_chose_are_escaped(client: Client, user: User) -> None:
    user.give_credits(5)
    user.spend_credits_on("mail", attributed_to="<b>key</b>")
    page = seen(client.get(url("statement"), {"attributed_to": "<b>key</b>", "operation": '"><b>'}))
    assert "<b>" not in page
    assert "&lt;b&gt;key" in page


@pytest.mark.django_db(transaction=True)
def test_csv_is_streamed_under_asgi(user: User) -> None:
    user.give_credits(3)
    client = AsyncClient()
    client.force_login(user)

    async def download() -> str:
        answer: Any = await client.get(url("statement_csv"))
        return b"".join([part async for part in answer]).decode()

    header, row = async_to_sync(download)().splitlines()
    assert row.split(",")[header.split(",").index("amount")] == "3"

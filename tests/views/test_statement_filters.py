from __future__ import annotations

import csv
import datetime
import io
from typing import Any

import pytest
import time_machine
from django.test import Client

from tests.app.models import User
from tests.factories import configured, days
from tests.views.visiting import HTMX, amounts, seen, url

START = datetime.datetime(2026, 3, 1, 23, 30, tzinfo=datetime.UTC)


@pytest.fixture(autouse=True)
def spender(user: User) -> None:
    with time_machine.travel(START, tick=False) as clock:
        user.give_credits(100, reason="signup", expires_at=START + days(400))
        clock.shift(datetime.timedelta(hours=1))
        user.spend_credits_on("report", attributed_to="key_1")
        clock.shift(days(1))
        user.spend_credits_on("mail")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, [-1, -25, 100]),
        ({"direction": "in"}, [100]),
        ({"category": "signup_bonus"}, [100]),
        ({"operation": "report"}, [-25]),
        ({"attributed_to": "key_1"}, [-25]),
        ({"since": "2026-03-02", "until": "2026-03-02"}, [-25]),
        ({"category": "gone"}, []),
    ],
)
def test_statement_shows_what_is_asked_for(
    client: Client, asked: dict[str, str], expected: list[int]
) -> None:
    assert amounts(seen(client.get(url("statement"), asked))) == expected


def test_filters_keep_what_was_asked_for(client: Client) -> None:
    page = seen(client.get(url("statement"), {"operation": "gone", "since": "2026-03-02"}))
    assert '<option value="gone" selected>Gone</option>' in page
    assert 'value="2026-03-02"' in page
    assert "<details" in page
    assert " open>" in page
    assert "There are no such transactions." in page


def test_choices_have_names_for_people(client: Client) -> None:
    with configured(ADDITIONAL_CATEGORIES=["yearly_gift"]):
        page = seen(client.get(url("statement")))
    assert '<option value="signup_bonus">Signup Bonus</option>' in page
    assert '<option value="yearly_gift">Yearly Gift</option>' in page
    assert '<option value="report">Report</option>' in page


@pytest.mark.parametrize(
    "asked",
    [
        {"direction": "up"},
        {"category": "x" * 101},
        {"operation": "x" * 10_000},
        {"attributed_to": "a\x00b"},
        {"since": "2026-02-30"},
        {"since": "2026-03-02", "until": "2026-03-01"},
    ],
)
@pytest.mark.parametrize("name", ["statement", "statement_csv"])
def test_what_cannot_be_asked_for_is_answered_400(client: Client, asked: dict[str, str], name: str) -> None:
    page = seen(client.get(url(name), asked), 400)
    assert '<div role="alert">' in page
    assert amounts(page) == []


@pytest.mark.parametrize("before", ["0", "-5", "x", "1.5", "²", "9" * 19, "9" * 5_000, " 7"])
def test_page_that_there_is_not_is_not_found(client: Client, before: str) -> None:
    assert client.get(url("statement"), {"before": before}).status_code == 404


def test_rows_say_what_they_were_for(client: Client) -> None:
    page = seen(client.get(url("statement")))
    assert ">Report <span>key_1</span>" in page
    assert "Signup Bonus <span>expires on April 5, 2027</span>" in page
    assert '<span class="usage-credits-narrow">Balance</span> 75 credits' in page


def test_csv_has_the_rows_that_the_filters_show(client: Client) -> None:
    answer: Any = client.get(url("statement_csv"), {"direction": "out"})
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert 'filename="statement.csv"' in answer["Content-Disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.getvalue().decode())))
    assert [row["amount"] for row in rows] == ["-25", "-1"]
    page = seen(client.get(url("statement"), {"direction": "out"}))
    assert f'<a href="{url("statement_csv")}?direction=out" download' in page


def test_htmx_gets_the_rows_alone(client: Client) -> None:
    part = seen(client.get(url("statement"), {"direction": "in"}, headers=HTMX)).strip()
    assert part.startswith('<section id="usage-credits-rows"')
    assert part.endswith("</section>")
    assert amounts(part) == [100]
    assert "?direction=in" in part
    refused = seen(client.get(url("statement"), {"direction": "up"}, headers=HTMX), 422)
    assert '<div role="alert">' in refused
    assert "<html" not in refused

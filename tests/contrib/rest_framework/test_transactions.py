from __future__ import annotations

import base64
import datetime
from typing import Any
from urllib.parse import quote

import pytest
import time_machine

from tests.app.models import User
from tests.contrib.rest_framework.asking import Program
from tests.factories import add_history, make_user
from usage_credits.models import Transaction
from usage_credits.statements.exports import COLUMNS

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.contrib.rest_framework.urls")]

ROWS = "/api/credits/wallets/credits/transactions/"


def walk(program: Program, path: str, direction: str = "next") -> list[list[int]]:
    """Return the ids of page after page, until there is none."""
    pages: list[list[int]] = []
    while path:
        page = program.get(path).json()
        pages.append([row["id"] for row in page["results"]])
        path = (page[direction] or "").removeprefix("http://testserver")
    return pages


def cursor(text: str) -> str:
    return quote(base64.b64encode(text.encode()).decode())


@pytest.fixture
def user() -> User:
    user = make_user()
    with time_machine.travel("2026-03-01T12:00:00Z", tick=False) as clock:
        user.give_credits(100, reason="signup")
        clock.move_to(datetime.datetime(2026, 3, 2, 12, tzinfo=datetime.UTC))
        user.spend_credits_on("img", mb=5, attributed_to="key_1", idempotency_key="upload-17")
        clock.move_to(datetime.datetime(2026, 3, 3, 12, tzinfo=datetime.UTC))
        user.spend_credits_on("report", metadata={"prompt": "a secret"})
    return user


def test_rows_come_newest_first_with_what_the_csv_has(user: User) -> None:
    page = Program(user).get(ROWS).json()
    assert [row["amount"] for row in page["results"]] == [-25, -15, 100]
    assert (page["next"], page["previous"]) == (None, None)
    row = page["results"][1]
    assert tuple(row) == COLUMNS
    stored = Transaction.objects.get(pk=row["id"])
    assert row == {
        "id": stored.pk,
        "created_at": "2026-03-02T12:00:00Z",
        "category": "operation_charge",
        "description": "Img (-15 credits)",
        "amount": -15,
        "balance_before": 100,
        "balance_after": 85,
        "expires_at": None,
        "operation": "img",
        "attributed_to": "key_1",
        "idempotency_key": "upload-17",
    }
    assert "secret" not in Program(user).get(ROWS).content.decode()
    assert Program(user).get(f"{ROWS}{stored.pk}/").json() == row


@pytest.mark.parametrize(
    ("query", "amounts"),
    [
        ("direction=in", [100]),
        ("direction=out", [-25, -15]),
        ("category=signup_bonus", [100]),
        ("operation=img", [-15]),
        ("attributed_to=key_1&direction=out", [-15]),
        ("since=2026-03-02", [-25, -15]),
        ("since=2026-03-02&until=2026-03-02", [-15]),
        ("until=2026-02-28", []),
        ("operation=teleport", []),
        ("operation=&colour=red", [-25, -15, 100]),
    ],
)
def test_filters_narrow_the_rows(user: User, query: str, amounts: list[int]) -> None:
    page = Program(user).get(f"{ROWS}?{query}").json()
    assert [row["amount"] for row in page["results"]] == amounts


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("direction=sideways", "direction"),
        ("since=yesterday", "since"),
        ("since=2026-02-30", "since"),
        ("since=2026-03-02&until=2026-03-01", "until"),
        ("until=9999-12-31", "until"),
        (f"operation={'x' * 256}", "operation"),
        ("category=%00", "category"),
        (f"attributed_to={'x' * 256}", "attributed_to"),
    ],
)
def test_filters_that_are_refused_are_named(user: User, query: str, field: str) -> None:
    answer = Program(user).get(f"{ROWS}?{query}")
    assert (answer.status_code, list(answer.json())) == (400, [field])


def test_pages_follow_each_other_there_and_back_with_their_filters() -> None:
    user = make_user()
    add_history(user.wallet(), 23)
    ids = list(user.wallet().history().newest_first().values_list("pk", flat=True))
    program = Program(user)
    pages = walk(program, f"{ROWS}?page_size=5")
    assert [len(page) for page in pages] == [5, 5, 5, 5, 3]
    assert [pk for page in pages for pk in page] == ids
    last = f"{ROWS}?page_size=5&cursor={cursor(f'p={ids[19]}')}"
    assert [pk for page in reversed(walk(program, last, "previous")) for pk in page] == ids
    credits = [pk for page in walk(program, f"{ROWS}?page_size=5&direction=in") for pk in page]
    assert credits == ids[::2]


def test_rows_that_come_meanwhile_move_no_page() -> None:
    user = make_user()
    add_history(user.wallet(), 9)
    program = Program(user)
    first = program.get(f"{ROWS}?page_size=5").json()
    user.give_credits(50)
    second = program.get(first["next"].removeprefix("http://testserver")).json()
    ids = [row["id"] for page in (first, second) for row in page["results"]]
    assert ids == list(user.wallet().history().newest_first().values_list("pk", flat=True))[1:]


@pytest.mark.parametrize(
    ("query", "length"),
    [("", 50), ("page_size=200", 200), ("page_size=201", 200), ("page_size=0", 50), ("page_size=x", 50)],
)
def test_page_is_bounded(query: str, length: int) -> None:
    user = make_user()
    add_history(user.wallet(), 210)
    assert len(Program(user).get(f"{ROWS}?{query}").json()["results"]) == length


@pytest.mark.parametrize(
    "given",
    ["x", "%F0%9F%92%A9", *map(cursor, ("p=x", "p=", "p=1;DROP", "p=-1", f"p={'9' * 5_000}", "o=x"))],
)
def test_cursors_of_the_client_are_not_found(user: User, given: str) -> None:
    answer = Program(user).get(f"{ROWS}?cursor={given}")
    assert (answer.status_code, list(answer.json())) == (404, ["detail"])


@pytest.mark.parametrize("given", [f"p={'9' * 19}", f"r=1&p={'9' * 19}", "p=0", "o=100000"])
def test_cursors_beyond_the_rows_find_what_is_there(user: User, given: str) -> None:
    assert Program(user).get(f"{ROWS}?cursor={cursor(given)}").status_code == 200


def test_rows_of_others_are_never_found(user: User) -> None:
    other = make_user(5)
    gems = user.wallet("gems").credit(5)
    foreign = other.wallet().history().get()
    program = Program(user)
    for pk in (foreign.pk, gems.pk, 0, 2**63, 10**30):
        assert program.get(f"{ROWS}{pk}/").status_code == 404
    page = program.get(f"{ROWS}?cursor={cursor(f'p={foreign.pk}')}&page_size=200").json()
    assert foreign.pk not in [row["id"] for row in page["results"]]
    assert program.get(f"/api/credits/wallets/gems/transactions/{gems.pk}/").json()["amount"] == 5


def test_statements_do_not_grow(django_assert_num_queries: Any) -> None:
    user = make_user()
    program = Program(user)
    add_history(user.wallet(), 1)
    pk = user.wallet().history().get().pk
    program.get(ROWS)
    for query in ("", "?page_size=200&direction=in&since=2026-01-01"):
        # For who asks, for the wallet, for the rows.
        with django_assert_num_queries(3):
            program.get(f"{ROWS}{query}")
        with django_assert_num_queries(3):
            program.get(f"{ROWS}{pk}/")
        for _ in range(40):
            user.give_credits(1)
            user.spend_credits_on("mail")

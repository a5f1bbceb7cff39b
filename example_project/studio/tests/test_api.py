from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client

from studio.models import User

ORDER = {"title": "Paper", "style": "facets", "size": "512x512", "seed": 7}


def ask(browser: Client, **values: Any) -> Any:
    return browser.post("/api/renders/", {**ORDER, **values}, content_type="application/json")


def test_ordering_answers_where_the_render_is(browser: Client, user: User) -> None:
    answer = ask(browser)
    made = user.renders.get()
    assert answer.status_code == 201
    assert answer.json() == {
        "id": str(made.pk),
        "cost": 6,
        "url": f"http://testserver{made.get_absolute_url()}",
    }
    assert answer.headers["Location"] == answer.json()["url"]
    assert user.credits == 14


def test_ordering_twice_by_one_key_is_one_order(browser: Client, user: User) -> None:
    key = str(uuid.uuid4())
    assert ask(browser, key=key).json() == ask(browser, key=key).json()
    assert user.credits == 14


def test_ordering_without_enough_credits_is_a_problem(browser: Client, user: User) -> None:
    ask(browser, size="2000x2000")
    answer = ask(browser, size="2000x2000")
    assert answer.status_code == 402
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.json()["required"], answer.json()["available"]) == (13, 7)
    assert user.renders.count() == 1


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"style": "cubes"}, "style"),
        ({"size": "1x1"}, "size"),
        ({"seed": -1}, "seed"),
        ({"key": "mine"}, "key"),
        ({"size": "3000x2000"}, "at most 4 megapixels"),
    ],
)
def test_ordering_what_cannot_be_says_why(
    browser: Client, user: User, values: dict[str, Any], told: str
) -> None:
    answer = ask(browser, **values)
    assert answer.status_code == 400
    assert told in answer.content.decode()
    assert user.credits == 20


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/api/renders/", "/api/credits/wallets/"])
def test_api_is_for_who_is_signed_in(client: Client, path: str) -> None:
    assert client.get(path).status_code == 403
    assert client.post(path, ORDER, content_type="application/json").status_code == 403


def test_api_of_credits_tells_the_balance(browser: Client) -> None:
    [wallet] = browser.get("/api/credits/wallets/").json()
    assert (wallet["balance"], wallet["available"]) == (20, 20)

from __future__ import annotations

import datetime
import uuid
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIRequestFactory, force_authenticate

from tests.app.models import Newcomer, Studio, Team
from tests.contrib.rest_framework.asking import PROBLEM, Program
from tests.factories import add_lots, days, make_user, stored
from usage_credits.contrib.rest_framework.views import WalletListView
from usage_credits.models import Lot

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.contrib.rest_framework.urls")]

WALLETS = "/api/credits/wallets/"


def test_wallets_show_what_there_is_by_asset() -> None:
    user = make_user(100)
    user.wallet().hold(30)
    user.wallet("gems").credit(5)
    make_user(7)
    shown = Program(user).get(WALLETS).json()
    assert [(one["asset"], one["balance"], one["held"], one["available"]) for one in shown] == [
        ("credits", 100, 30, 70),
        ("gems", 5, 0, 5),
    ]
    moment = datetime.datetime.fromisoformat(shown[0]["created_at"])
    assert moment == user.wallet().created_at
    for asset in ("gems", "Gems%20"):
        assert Program(user).get(f"{WALLETS}{asset}/").json() == shown[1]


def test_expired_credits_do_not_count(settings: Any) -> None:
    user = make_user(10)
    add_lots(user.wallet(), 2, amount=50, expires_in=days(-1))
    shown = Program(user).get(f"{WALLETS}credits/").json()
    assert (shown["balance"], shown["available"]) == (10, 10)
    settings.USAGE_CREDITS = {**settings.USAGE_CREDITS, "ALLOW_NEGATIVE_BALANCE": True}
    user.wallet().debit(25)
    shown = Program(user).get(f"{WALLETS}credits/").json()
    assert (shown["balance"], shown["available"]) == (-15, 0)


def test_reading_creates_nothing() -> None:
    Newcomer.objects.bulk_create([Newcomer(name="ada")])
    request = APIRequestFactory().get("/")
    force_authenticate(request, Newcomer.objects.get())  # type: ignore[arg-type]
    before = stored()
    view = WalletListView.as_view(permission_classes=[])
    assert (view(request).data, stored()) == ([], before)


@pytest.mark.parametrize("asset", ["gold", "gems", "1", "x" * 60, "%00", "%20", "%2e%2e"])
@pytest.mark.parametrize("under", ["", "lots/", "transactions/", "transactions/1/"])
def test_other_wallets_are_not_found(asset: str, under: str) -> None:
    other = make_user(5)
    other.wallet("gems").credit(5)
    assert Program(make_user(100)).get(f"{WALLETS}{asset}/{under}").status_code == 404


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize("path", ["", "credits/", "credits/lots/", "credits/transactions/"])
def test_wallets_are_read_only(method: str, path: str) -> None:
    user = make_user(100)
    program = Program(user)
    before = stored()
    answer = super(Program, program).generic(method.upper(), f"{WALLETS}{path}")
    assert (answer.status_code, stored()) == (405, before)


@pytest.mark.parametrize(
    "path", ["wallets/", "wallets/credits/", "wallets/credits/lots/", "packs/", "plans/"]
)
def test_nobody_is_shown_nothing(path: str) -> None:
    answer = Program().get(f"/api/credits/{path}")
    assert (answer.status_code, list(answer.json())) == (403, ["detail"])
    wrong = Program()
    wrong.credentials(HTTP_AUTHORIZATION="Basic bm9ib2R5OnNlY3JldA==")
    assert wrong.get(f"/api/credits/{path}").status_code == 403


def test_who_has_no_wallets_is_refused() -> None:
    view = WalletListView.as_view(owner=lambda request: None)
    request = APIRequestFactory().get("/")
    force_authenticate(request, make_user(5))
    answer = view(request).render()
    assert (answer.status_code, answer["Content-Type"]) == (403, PROBLEM)
    request = APIRequestFactory().get("/")
    force_authenticate(request, AnonymousUser())
    open_view = WalletListView.as_view(permission_classes=[])
    assert open_view(request).status_code in {401, 403}


def test_owner_may_be_a_team_for_which_the_user_acts() -> None:
    user = make_user(100)
    user.email = "team@example.com"
    program, team = Program(user), Team.objects.create(name="Analysts")
    team.give_credits(40)
    other = Team.objects.create(name="Others", email="others@example.com")
    other.give_credits(7)
    path = f"/api/teams/{team.pk}/credits/wallets/"
    assert [one["balance"] for one in program.get(path).json()] == [40]
    rows = program.get(f"{path}credits/transactions/").json()["results"]
    assert [row["amount"] for row in rows] == [40]
    (row,) = rows
    assert program.get(f"{path}credits/transactions/{row['id']}/").json() == row
    assert program.get(f"{WALLETS}credits/transactions/{row['id']}/").status_code == 404
    for pk in (other.pk, uuid.uuid4()):
        for path in ("wallets/", "wallets/credits/", "wallets/credits/transactions/", "packs/", "plans/"):
            assert program.get(f"/api/teams/{pk}/credits/{path}").status_code == 404
        for path in ("estimate/", "checkout/"):
            assert program.ask(f"/api/teams/{pk}/credits/{path}").status_code == 404


def test_wallet_of_an_owner_that_gets_none_is_shown_once_there_is_one() -> None:
    studio = Studio.objects.create(name="a")
    view = WalletListView.as_view(owner=lambda request: studio)
    request = APIRequestFactory().get("/")
    force_authenticate(request, make_user())
    assert view(request).data == []
    studio.wallet()
    assert [one["balance"] for one in view(request).data] == [0]


@pytest.mark.parametrize(
    "path",
    [
        "wallets/",
        "wallets/credits/",
        "wallets/credits/lots/",
        "wallets/credits/transactions/",
        "packs/",
        "plans/",
        "estimate/",
        "checkout/",
    ],
)
def test_browsable_api_shows_each_page(path: str) -> None:
    user = make_user(100)
    browser = Client()
    browser.force_login(user)
    page = browser.get(f"/api/credits/{path}", headers={"accept": "text/html"})
    is_form = path in {"estimate/", "checkout/"}
    assert (page.status_code, page["Content-Type"][:9]) == (405 if is_form else 200, "text/html")
    assert ('name="operation"' in page.content.decode()) is (path == "estimate/")
    assert ('name="success_url"' in page.content.decode()) is (path == "checkout/")


def test_answers_are_kept_by_no_cache() -> None:
    assert "no-store" in Program(make_user()).get(WALLETS)["Cache-Control"]


def test_lots_come_in_the_order_in_which_they_are_spent() -> None:
    user = make_user(50)
    now = timezone.now()
    user.give_credits(20, expires_at=now + days(9))
    user.give_credits(30, expires_at=now + days(3), scope=["report", "img"])
    user.give_credits(10, priority=-1)
    user.wallet().debit(15)
    add_lots(user.wallet(), 1, amount=99, expires_in=days(-1))
    page = Program(user).get(f"{WALLETS}credits/lots/").json()
    assert (page["count"], page["next"], page["previous"]) == (3, None, None)
    shown = [(lot["amount"], lot["remaining"], lot["priority"], lot["scope"]) for lot in page["results"]]
    assert shown == [(30, 30, 0, ["img", "report"]), (20, 15, 0, None), (50, 50, 0, None)]
    lot = Lot.objects.get(transaction=page["results"][1]["transaction"])
    assert datetime.datetime.fromisoformat(page["results"][1]["expires_at"]) == lot.expires_at


@pytest.mark.parametrize(
    ("query", "length"),
    [("", 50), ("?limit=3", 3), ("?limit=100000", 200), ("?limit=-1", 50), ("?limit=x&offset=x", 50)],
)
def test_page_of_lots_is_bounded(query: str, length: int) -> None:
    user = make_user()
    add_lots(user.wallet(), 250)
    page = Program(user).get(f"{WALLETS}credits/lots/{query}").json()
    assert (page["count"], len(page["results"])) == (250, length)
    far = Program(user).get(f"{WALLETS}credits/lots/?offset={10**30}").json()
    assert far["results"] == []


@pytest.mark.parametrize(("path", "statements"), [("", 2), ("credits/", 2), ("credits/lots/", 4)])
def test_statements_do_not_grow(path: str, statements: int, django_assert_num_queries: Any) -> None:
    user = make_user(10)
    program = Program(user)
    program.get(f"{WALLETS}{path}")
    for _ in range(2):
        # The first is for who asks.
        with django_assert_num_queries(statements):
            assert program.get(f"{WALLETS}{path}").status_code == 200
        add_lots(user.wallet(), 40, expires_in=days(9))
        for number in range(5):
            user.wallet(f"gems {number}").credit(1)

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.core.exceptions import ImproperlyConfigured
from django.test import Client, override_settings
from django.urls import reverse

from tests.app.models import Team, User
from tests.factories import make_user, stored
from tests.settings import INSTALLED_APPS, MIDDLEWARE
from tests.views.visiting import HTMX, seen, url, visitor
from usage_credits import urls
from usage_credits.views import pages

SHOWN = ("wallet", "statement", "statement_csv", "shop", "recharge")
POSTED = ("buy_pack", "subscribe", "manage_subscription")

DOCUMENTED = Path(__file__).parents[2] / "docs/how-to/pages.md"

CSRF = "django.middleware.csrf.CsrfViewMiddleware"


def test_pages_know_each_other_by_their_names() -> None:
    assert [name for _route, _view, name in urls.PAGES] == list(pages.PAGES)


def test_pages_are_documented_with_their_paths() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `([^`]*)` \|", DOCUMENTED.read_text(encoding="utf-8"), re.MULTILINE)
    assert {name: path.strip('"') for name, path in rows} == {
        name: route for route, _view, name in urls.PAGES
    }


@pytest.mark.parametrize("name", SHOWN)
def test_page_asks_who_is_there_first(db: None, name: str) -> None:
    answer = Client().get(url(name))
    assert (answer.status_code, answer["Location"]) == (302, f"/accounts/login/?next={url(name)}")


@pytest.mark.parametrize("name", [*POSTED, "recharge"])
def test_post_asks_who_is_there_first(db: None, name: str) -> None:
    before = stored()
    answer = Client().post(url(name), {"pack": "starter", "plan": "pro", "stop": "1"})
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/")
    assert stored() == before


def test_part_of_a_page_is_loaded_as_a_whole_once_the_session_has_ended(db: None) -> None:
    answer = Client().get(url("statement"), headers=HTMX)
    assert (answer.status_code, answer["HX-Refresh"]) == (401, "true")


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_page_takes_no_other_method(client: Client, name: str, method: str) -> None:
    before = stored()
    assert getattr(client, method)(url(name)).status_code == 405
    assert stored() == before


@pytest.mark.parametrize("name", ["wallet", "statement", "statement_csv", "shop"])
def test_page_takes_no_post(client: Client, name: str) -> None:
    assert client.post(url(name)).status_code == 405


@pytest.mark.parametrize("name", POSTED)
def test_what_leads_to_stripe_takes_no_get(client: Client, name: str) -> None:
    assert client.get(url(name)).status_code == 405


@pytest.mark.parametrize("middleware", [MIDDLEWARE, [*MIDDLEWARE, CSRF]], ids=["without", "with"])
@pytest.mark.parametrize("name", [*POSTED, "recharge"])
def test_post_of_another_site_is_refused(user: User, name: str, middleware: list[str]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    before = stored()
    with override_settings(MIDDLEWARE=middleware):
        assert client.post(url(name), {"pack": "starter", "plan": "pro", "stop": "1"}).status_code == 403
    assert stored() == before


@pytest.mark.parametrize("name", ["wallet", "statement", "shop", "recharge"])
def test_page_is_never_kept_by_caches(client: Client, name: str) -> None:
    answer = client.get(url(name))
    assert "no-store" in answer["Cache-Control"]
    assert "HX-Request" in answer["Vary"]


@pytest.mark.parametrize("name", ["wallet", "statement", "shop", "recharge"])
def test_page_leads_to_the_others_and_says_which_it_is(client: Client, name: str) -> None:
    page = seen(client.get(url(name)))
    for other in ("wallet", "statement", "shop", "recharge"):
        current = ' aria-current="page"' if other == name else ""
        assert f'<a href="{url(other)}"{current}>' in page


@pytest.mark.parametrize("name", SHOWN)
def test_page_writes_nothing(client: Client, name: str) -> None:
    before = stored()
    assert client.get(url(name)).status_code == 200
    assert client.head(url(name)).status_code == 200
    assert stored() == before


def test_page_of_nobody_is_not_found(client: Client) -> None:
    assert client.get("/credits/of/app.User/0/").status_code == 404


def test_owner_without_wallets_is_an_error_that_says_what_to_do(client: Client) -> None:
    with pytest.raises(ImproperlyConfigured, match="a Group, which has no HasWallet"):
        client.get(f"/credits/of/auth.Group/{Group.objects.create().pk}/")


@pytest.fixture
def team(user: User) -> Team:
    team = Team.objects.create(name="Analysts", email=user.email)
    team.give_credits(70)
    return team


def team_url(team: Team, name: str) -> str:
    return reverse(f"team_credits:{name}", kwargs={"team": team.pk})


@pytest.mark.parametrize("name", ["wallet", "statement", "shop", "recharge"])
def test_pages_of_a_team_lead_to_each_other(client: Client, team: Team, name: str) -> None:
    page = seen(client.get(team_url(team, name)))
    for other in ("wallet", "statement", "shop", "recharge"):
        assert f'<a href="{team_url(team, other)}"' in page
        assert f'href="{url(other)}"' not in page


def test_wallet_is_that_of_the_team(client: Client, user: User, team: Team) -> None:
    user.give_credits(11)
    assert "70 credits" in seen(client.get(team_url(team, "wallet")))
    assert "11 credits" in seen(client.get(url("wallet")))


def test_others_see_nothing_of_it(team: Team) -> None:
    stranger = visitor(make_user())
    before = stored()
    for name in SHOWN:
        assert stranger.get(team_url(team, name)).status_code == 404
    for name in (*POSTED, "recharge"):
        assert stranger.post(team_url(team, name), {"pack": "starter", "stop": "1"}).status_code == 404
    assert stored() == before


def test_there_is_nothing_of_a_team_that_is_none(client: Client, team: Team) -> None:
    assert client.get(team_url(Team(pk=uuid.uuid4()), "wallet")).status_code == 404


def test_project_that_leaves_out_pages_is_not_led_to_them(client: Client) -> None:
    with override_settings(ROOT_URLCONF="tests.views.few_urls"):
        page = seen(client.get("/wallet/"))
    assert "/wallet/" in page
    assert "Shop" not in page
    assert "Get credits" not in page


@pytest.fixture
def with_htmx() -> Iterator[None]:
    with override_settings(INSTALLED_APPS=[*INSTALLED_APPS, "django_htmx"]):
        yield


@pytest.mark.usefixtures("with_htmx")
@pytest.mark.parametrize("name", ["wallet", "statement", "shop", "recharge"])
def test_page_loads_htmx_and_nothing_inline(client: Client, name: str) -> None:
    page = seen(client.get(url(name)))
    assert 'src="/static/django_htmx/htmx' in page
    assert '"includeIndicatorStyles": false' in page
    assert page.count("<script") == page.count("<script src=")
    for inline in ("<style", ' style="', " onclick", "javascript:"):
        assert inline not in page


@pytest.mark.parametrize("name", ["wallet", "statement", "shop", "recharge"])
def test_page_works_without_htmx(client: Client, name: str) -> None:
    page = seen(client.get(url(name)))
    assert "<script" not in page

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client

from tests.app.models import Team
from tests.contrib.rest_framework.asking import PROBLEM, Program, has_run
from tests.factories import amounts_of, make_user, names, stored
from usage_credits import InvalidOperation, InvalidValue
from usage_credits.contrib.rest_framework import requires_credits
from usage_credits.testing import capture_events

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.contrib.rest_framework.urls")]


@pytest.mark.behaviour("TOK-01", "TOK-03")
def test_program_without_credits_is_answered_402() -> None:
    user = make_user()
    program = Program(user)
    before = stored()
    with capture_events() as events:
        answer = program.ask("/need/one/")
    assert (answer.status_code, answer["Content-Type"]) == (402, PROBLEM)
    assert answer.json() == {
        "type": "urn:problem-type:usage-credits:insufficient-credits",
        "title": "Not enough credits",
        "status": 402,
        "detail": "1 credits are required, 0 credits are available.",
        "available": 0,
        "required": 1,
    }
    assert (stored(), events, has_run(user)) == (before, [], False)
    user.give_credits(1)
    assert program.ask("/need/one/").json() == {"ran": True}
    assert amounts_of(user.wallet()) == [1]


@pytest.mark.behaviour("TOK-03")
@pytest.mark.parametrize("method", ["get", "options"])
def test_safe_methods_pass_without_credits(method: str) -> None:
    assert Program(make_user()).ask("/need/one/", method=method).status_code == 200
    assert Program().ask("/need/one/", method=method).status_code == 200


@pytest.mark.behaviour("TOK-04")
def test_permission_asks_for_the_price_of_its_operation() -> None:
    user = make_user(15)
    program = Program(user)
    assert program.ask("/need/image/", {"mb": 5}).status_code == 201
    problem = program.ask("/need/image/", {"mb": 6}).json()
    assert (problem["status"], problem["operation"]) == (402, "img")
    assert (problem["available"], problem["required"]) == (15, 16)
    assert amounts_of(user.wallet()) == [15]


def test_nobody_is_answered_as_the_view_authenticates() -> None:
    for path in ("/need/one/", "/need/report/", "/need/nobody/"):
        answer = Program().ask(path)
        # By session in the first place, for which there is no header to ask for it.
        assert (answer.status_code, answer["Content-Type"]) == (403, "application/json")
    answer = Program().ask("/need/team/00000000-0000-0000-0000-000000000000/")
    assert (answer.status_code, answer["WWW-Authenticate"]) == (401, 'Basic realm="api"')


def test_who_has_nobody_to_charge_is_refused() -> None:
    answer = Program(make_user(100)).ask("/need/nobody/")
    assert (answer.status_code, answer["Content-Type"]) == (403, PROBLEM)
    assert answer.json()["type"].endswith(":no-owner")


def test_owner_may_be_a_team_for_which_the_user_acts() -> None:
    user = make_user(100)
    user.email = "team@example.com"
    program, team = Program(user), Team.objects.create(name="Analysts")
    other = Team.objects.create(name="Others", email="others@example.com")
    other.give_credits(100)
    assert program.ask(f"/need/team/{team.pk}/").json()["available"] == 0
    team.give_credits(25)
    assert program.ask(f"/need/team/{team.pk}/").json() == {"ran": True}
    for pk in (other.pk, uuid.uuid4()):
        assert program.ask(f"/need/team/{pk}/").status_code == 404


def test_capped_key_is_answered_429() -> None:
    user = make_user(100)
    user.wallet().set_cap("key_1", 24, every="day")
    program = Program(user)
    answer = program.ask("/need/report/", x_api_key="key_1")
    problem = answer.json()
    assert (answer.status_code, answer["Content-Type"], problem["left"]) == (429, PROBLEM, 24)
    assert 0 < int(answer["Retry-After"]) <= 24 * 60 * 60
    assert program.ask("/need/report/", x_api_key="key_2").json() == {"ran": True}


@pytest.mark.parametrize(
    ("data", "detail"), [({"mb": -1}, "mb"), ({"mb": "x"}, "could not be read"), ({}, "could not be read")]
)
def test_refused_parameters_are_answered_400(data: Any, detail: str) -> None:
    user = make_user(100)
    answer = Program(user).ask("/need/image/", data)
    assert (answer.status_code, answer["Content-Type"]) == (400, PROBLEM)
    assert detail in answer.json()["detail"]


def test_unknown_operation_is_no_fault_of_the_request() -> None:
    with pytest.raises(InvalidOperation, match="teleport"):
        Program(make_user(100)).ask("/need/unknown/")


def test_permission_composes_with_others() -> None:
    user = make_user()
    program = Program(user)
    assert program.ask("/need/staff/").status_code == 402
    user.is_staff = True
    user.save()
    assert program.ask("/need/staff/").json() == {"ran": True}


def test_browsable_api_shows_the_form_and_the_problem() -> None:
    user = make_user(100)
    program, browser = Program(user), Client()
    browser.force_login(user)
    page = browser.get("/need/image/", headers={"accept": "text/html"})
    assert (page.status_code, 'name="mb"' in page.content.decode()) == (200, True)
    assert "mb" in program.ask("/need/image/", method="options").json()["actions"]["POST"]
    page = browser.post("/need/image/", {"mb": 91}, headers={"accept": "text/html"})
    assert (page.status_code, page["Content-Type"]) == (402, "text/html; charset=utf-8")
    assert "101 credits are required" in page.content.decode()


def test_problem_is_told_to_handlers_of_the_project(settings: Any) -> None:
    settings.REST_FRAMEWORK = {
        **settings.REST_FRAMEWORK,
        "EXCEPTION_HANDLER": "tests.contrib.rest_framework.gated.own_handler",
    }
    answer = Program(make_user()).ask("/need/one/")
    assert (answer.status_code, answer.json()["code"]) == (402, "insufficient-credits")
    assert answer.json()["error"]["message"] == "1 credits are required, 0 credits are available."
    answer = Program(make_user()).ask("/spend/", {"spend_credits_on": ["report"]})
    assert (answer.status_code, answer.json()["code"]) == (402, "insufficient-credits")


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("operation", {"operation": 5}),
        ("params", {"operation": "img", "params": [("mb", 5)]}),
        ("owner", {"operation": "img", "owner": "team"}),
        ("methods", {"operation": "img", "methods": "POST"}),
        ("amount", {"amount": 0}),
        ("amount", {"operation": "img", "amount": 5}),
    ],
)
def test_bad_options_are_refused_at_once(field: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue) as refused:
        requires_credits(**options)
    assert refused.value.field == field


def test_permission_asks_in_one_statement(django_assert_num_queries: Any) -> None:
    program = Program(make_user(100))
    program.ask("/need/report/", x_api_key="key_1")
    # One for who asks, one for the credits, one of the view.
    with django_assert_num_queries(3), capture_events() as events:
        assert program.ask("/need/report/").json() == {"ran": True}
    assert names(events) == []

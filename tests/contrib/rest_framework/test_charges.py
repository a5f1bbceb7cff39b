from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from tests.app.gated import Refused
from tests.app.models import Team, User
from tests.contrib.rest_framework.asking import PROBLEM, Program, has_run
from tests.factories import amounts_of, make_user, names, stored
from usage_credits import InsufficientCredits, InvalidValue
from usage_credits.contrib.rest_framework import charges_credits
from usage_credits.ledger.verification import verify
from usage_credits.models import Hold
from usage_credits.testing import capture_events

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.contrib.rest_framework.urls")]

REPORT = "/charge/report/"


def assert_uncharged(user: User, *rows: int) -> None:
    assert (amounts_of(user.wallet()), user.wallet().held) == (list(rows), 0)
    assert not Hold.objects.filter(is_open=True).exists()
    assert list(verify()) == []


@pytest.mark.behaviour("TOK-04", "TOK-14", "DEC-14")
def test_method_is_charged_with_what_was_held_while_it_ran() -> None:
    user = make_user(100)
    with capture_events() as events:
        answer = Program(user).ask(REPORT, x_api_key="key_1")
    assert (answer.status_code, answer.json()) == (200, {"held": 25, "replayed": False})
    row = user.credit_history.last()
    assert row
    assert (row.amount, row.operation, row.attributed_to) == (-25, "report", "key_1")
    assert names(events) == ["hold_placed", "credits_deducted", "hold_captured"]
    assert list(verify()) == []


@pytest.mark.behaviour("TOK-02", "TOK-14", "SPD-07")
def test_method_does_not_run_without_credits() -> None:
    user = make_user(24)
    program = Program(user)
    before = stored()
    answer = program.ask(REPORT)
    problem = answer.json()
    assert (answer.status_code, answer["Content-Type"], problem["operation"]) == (402, PROBLEM, "report")
    assert (problem["available"], problem["required"]) == (24, 25)
    assert not has_run(user)
    assert stored() == before


def test_credits_run_out_after_as_many_as_can_be_paid() -> None:
    user = make_user(60)
    program = Program(user)
    assert [program.ask(REPORT).status_code for _ in range(4)] == [200, 200, 402, 402]
    assert_uncharged(user, 60, -25, -25)


@pytest.mark.parametrize("status", [201, 204, 302, 399])
def test_good_answers_are_charged(status: int) -> None:
    user = make_user(100)
    assert Program(user).ask(REPORT, {"status": status}).status_code == status
    assert amounts_of(user.wallet()) == [100, -25]


@pytest.mark.parametrize("status", [400, 404, 422, 500])
def test_answers_that_report_an_error_are_not_charged(status: int) -> None:
    user = make_user(100)
    with capture_events() as events:
        assert Program(user).ask(REPORT, {"status": status}).status_code == status
    assert names(events) == ["hold_placed", "hold_released"]
    assert_uncharged(user, 100)
    # As Django has it: an answer commits what the view wrote.
    assert has_run(user)


@pytest.mark.behaviour("SPD-09", "DEC-14")
@pytest.mark.parametrize(
    ("failure", "status"), [("invalid", 400), ("missing", 404), ("denied", 403), ("throttled", 429)]
)
def test_exceptions_that_become_answers_undo_and_are_not_charged(failure: str, status: int) -> None:
    user = make_user(100)
    with capture_events() as events:
        answer = Program(user).ask(REPORT, {"fail": failure})
    assert (answer.status_code, answer["Content-Type"]) == (status, "application/json")
    assert names(events) == ["hold_placed", "hold_released"]
    assert not has_run(user)
    assert_uncharged(user, 100)


@pytest.mark.behaviour("SPD-09", "DEC-14")
def test_method_that_crashes_is_undone_and_not_charged() -> None:
    user = make_user(100)
    with pytest.raises(Refused):
        Program(user).ask(REPORT, {"fail": "crash"})
    assert not has_run(user)
    assert_uncharged(user, 100)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("data", [{"fail": "invalid"}, {"amount": 101}, {"status": 400}])
def test_atomic_requests_undo_the_hold_of_what_failed(
    monkeypatch: pytest.MonkeyPatch, data: dict[str, Any]
) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    user = make_user(100)
    program = Program(user)
    assert program.ask(REPORT, data).status_code in {400, 402}
    assert Hold.objects.exists() is ("status" in data)
    assert_uncharged(user, 100)
    assert program.ask(REPORT).status_code == 200
    assert_uncharged(user, 100, -25)


@pytest.mark.parametrize(("amount", "rows"), [(10, [100, -10]), (60, [100, -60]), (0, [100])])
def test_method_is_charged_what_it_says_it_used(amount: int, rows: list[int]) -> None:
    user = make_user(100)
    assert Program(user).ask(REPORT, {"amount": amount}).status_code == 200
    assert_uncharged(user, *rows)


@pytest.mark.behaviour("SPD-10")
def test_method_that_used_more_than_there_is_is_undone_and_refused() -> None:
    user = make_user(100)
    answer = Program(user).ask(REPORT, {"amount": 101})
    assert (answer.status_code, answer.json()["operation"]) == (402, "report")
    assert not has_run(user)
    assert_uncharged(user, 100)


def test_refusal_of_what_the_method_itself_spends_is_its_own() -> None:
    user = make_user(49)
    with pytest.raises(InsufficientCredits):
        Program(user).ask(REPORT, {"spend": True})
    assert not has_run(user)
    assert_uncharged(user, 49)


def test_repeated_key_runs_the_method_and_charges_nothing_more() -> None:
    user = make_user(25)
    program = Program(user)
    answers = [program.ask(REPORT, idempotency_key="upload-17").json() for _ in range(3)]
    assert [answer["replayed"] for answer in answers] == [False, True, True]
    assert_uncharged(user, 25, -25)
    assert program.ask(REPORT, idempotency_key="upload-18").status_code == 402


def test_key_of_something_else_is_answered_409_and_a_bad_one_400() -> None:
    user = make_user(100)
    user.wallet().debit(5, idempotency_key="order-9")
    program = Program(user)
    answer = program.ask(REPORT, idempotency_key="order-9")
    assert (answer.status_code, answer["Content-Type"]) == (409, PROBLEM)
    answer = program.ask(REPORT, idempotency_key="k" * 256)
    assert (answer.status_code, answer["Content-Type"]) == (400, PROBLEM)
    assert answer.json()["field"] == "idempotency_key"
    assert not has_run(user)
    assert_uncharged(user, 100, -5)


def test_capped_key_is_answered_429() -> None:
    user = make_user(100)
    user.wallet().set_cap("key_1", 24, every="day")
    answer = Program(user).ask(REPORT, x_api_key="key_1")
    assert (answer.status_code, answer.json()["left"]) == (429, 24)
    assert int(answer["Retry-After"]) > 0
    assert_uncharged(user, 100)


def test_methods_that_are_not_guarded_are_free() -> None:
    user = make_user(100)
    assert Program(user).ask(REPORT, method="get").json() == {"charge": None}
    assert_uncharged(user, 100)


def test_nobody_is_not_charged() -> None:
    answer = Program().ask(REPORT)
    assert (answer.status_code, answer["Content-Type"]) == (403, "application/json")


def test_action_is_charged_the_price_of_what_it_says_it_used() -> None:
    user = make_user(100)
    answer = Program(user).ask("/renders/5/enlarge/", {"used": 2})
    assert answer.json() == {"pk": "5", "amount": 12}
    assert_uncharged(user, 100, -12)


def test_actions_of_viewsets_are_charged_by_what_their_url_says() -> None:
    user = make_user(100)
    program = Program(user)
    assert program.ask("/renders/5/enlarge/").json() == {"pk": "5", "amount": 15}
    answer = program.ask("/renders/five/enlarge/")
    assert (answer.status_code, answer["Content-Type"]) == (400, PROBLEM)
    assert_uncharged(user, 100, -15)


def test_functions_below_api_view_are_charged() -> None:
    user = make_user(30)
    program = Program(user)
    assert program.ask("/charge/function/").json() == {"amount": 25}
    assert program.ask("/charge/function/").status_code == 402
    assert_uncharged(user, 30, -25)


def test_team_is_charged_by_who_acts_for_it() -> None:
    user = make_user(100)
    user.email = "team@example.com"
    program, team = Program(user), Team.objects.create(name="Analysts")
    team.give_credits(25)
    other = Team.objects.create(name="Others", email="others@example.com")
    other.give_credits(25)
    assert program.ask(f"/charge/team/{team.pk}/").json() == {"ran": True}
    assert program.ask(f"/charge/team/{other.pk}/").status_code == 404
    assert (team.credits, other.credits, user.credits) == (0, 25, 100)


def test_stream_is_charged_when_it_was_read() -> None:
    user = make_user(50)
    program = Program(user)
    answer = program.ask("/charge/stream/")
    assert (user.credits, b"".join(answer)) == (25, b"one two")
    assert amounts_of(user.wallet()) == [50, -25]
    with pytest.raises(Refused):
        b"".join(program.ask("/charge/stream/", {"break": True}))
    assert_uncharged(user, 50, -25)


def test_session_pays_as_well_with_its_token_against_forgery() -> None:
    user = make_user(50)
    browser = APIClient(enforce_csrf_checks=True)
    browser.force_login(user)
    assert browser.post(REPORT).status_code == 403
    assert_uncharged(user, 50)
    browser.cookies["csrftoken"] = token = "x" * 32
    assert browser.post(REPORT, headers={"X-CSRFToken": token}).status_code == 200
    assert_uncharged(user, 50, -25)


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("operation", {"operation": None}),
        ("params", {"params": 5}),
        ("idempotency_key", {"idempotency_key": "upload-17"}),
        ("ttl", {"ttl": 60}),
        ("ttl", {"ttl": timedelta(0)}),
        ("methods", {"methods": "GET"}),
    ],
)
def test_bad_options_are_refused_at_once(field: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue) as refused:
        charges_credits(**{"operation": "report", **options})
    assert refused.value.field == field


def test_coroutine_functions_are_refused_at_once() -> None:
    async def post(self: Any, request: Any) -> None: ...

    with pytest.raises(InvalidValue) as refused:
        charges_credits("report")(post)
    assert refused.value.field == "handler"

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.template import TemplateDoesNotExist
from django.test import AsyncClient, RequestFactory

from tests.app.gated import Refused, charge_report
from tests.app.models import Studio
from tests.factories import amounts_of, configured, make_user, names, stored
from tests.gates.visiting import JSON, ask, has_run, signed_in, told
from tests.settings import USAGE_CREDITS
from usage_credits import (
    HoldNotOpen,
    InsufficientCredits,
    InvalidValue,
    Operation,
    charges_credits,
    requires_credits,
)
from usage_credits.ledger.verification import verify
from usage_credits.models import Hold
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db

FREE: Any = [*USAGE_CREDITS["OPERATIONS"], Operation("free", costs=0)]  # type: ignore[misc]


def assert_uncharged(user: Any, *rows: int) -> None:
    assert (amounts_of(user.wallet()), user.wallet().held) == (list(rows), 0)
    assert not Hold.objects.filter(is_open=True).exists()
    assert list(verify()) == []


@pytest.mark.behaviour("TOK-04", "TOK-14", "DEC-14")
def test_view_is_charged_with_what_was_held_while_it_ran() -> None:
    user = make_user(100)
    with capture_events() as events:
        answer = ask(signed_in(user), "/charge/report/", x_api_key="key_1")
    assert (answer.status_code, answer.json()) == (200, {"held": 25, "replayed": False})
    assert has_run(user)
    row = user.credit_history.last()
    assert row
    assert (row.amount, row.operation, row.attributed_to) == (-25, "report", "key_1")
    assert (amounts_of(user.wallet()), user.wallet().held) == ([100, -25], 0)
    assert names(events) == ["hold_placed", "credits_deducted", "hold_captured"]


@pytest.mark.behaviour("TOK-02", "TOK-14", "SPD-07")
@pytest.mark.parametrize("path", ["/charge/report/", "/charge/async/"])
def test_view_does_not_run_without_credits(path: str) -> None:
    user = make_user(24)
    client = signed_in(user)
    before = stored()
    with capture_events() as events:
        problem = ask(client, path).json()
        page = client.post(path)
    assert (problem["status"], problem["available"], problem["required"]) == (402, 24, 25)
    assert (page.status_code, page["Location"]) == (302, "/")
    assert told(client) == ["25 credits are required, 24 credits are available."]
    assert not has_run(user)
    assert stored() == before
    assert names(events) == ["insufficient_credits"] * 2


@pytest.mark.parametrize(("status", "rows"), [(201, [100, -25]), (302, [100, -25]), (399, [100, -25])])
def test_good_answers_are_charged(status: int, rows: list[int]) -> None:
    user = make_user(100)
    assert ask(signed_in(user), f"/charge/report/?status={status}").status_code == status
    assert amounts_of(user.wallet()) == rows


@pytest.mark.parametrize("status", [400, 404, 422, 500, 503])
@pytest.mark.parametrize("path", ["/charge/report/", "/charge/async/", "/charge/stream/"])
def test_answers_that_report_an_error_are_not_charged(path: str, status: int) -> None:
    user = make_user(100)
    with capture_events() as events:
        answer = ask(signed_in(user), f"{path}?status={status}")
    assert answer.status_code == status
    assert names(events) == ["hold_placed", "hold_released"]
    assert_uncharged(user, 100)
    # As Django has it: an answer commits what the view wrote.
    assert has_run(user) is (path != "/charge/async/")


@pytest.mark.behaviour("SPD-09", "DEC-14")
def test_view_that_fails_is_undone_and_not_charged() -> None:
    user = make_user(100)
    with pytest.raises(Refused):
        ask(signed_in(user), "/charge/report/?fail")
    with pytest.raises(Refused):
        ask(signed_in(user), "/charge/async/?fail")
    assert not has_run(user)
    assert_uncharged(user, 100)


@pytest.mark.parametrize(("amount", "rows"), [(10, [100, -10]), (60, [100, -60]), (0, [100])])
@pytest.mark.parametrize("path", ["/charge/report/", "/charge/async/"])
def test_view_is_charged_what_it_says_it_used(path: str, amount: int, rows: list[int]) -> None:
    user = make_user(100)
    assert ask(signed_in(user), f"{path}?amount={amount}").status_code == 200
    assert (amounts_of(user.wallet()), user.wallet().held) == (rows, 0)


@pytest.mark.behaviour("SPD-10")
@pytest.mark.parametrize("query", ["amount=101", "drain=70&amount=31"])
def test_view_that_used_more_than_there_is_is_undone_and_refused(query: str) -> None:
    user = make_user(100)
    client = signed_in(user)
    answer = ask(client, f"/charge/report/?{query}")
    assert (answer.status_code, answer.json()["operation"]) == (402, "report")
    assert client.post(f"/charge/report/?{query}").status_code == 302
    assert not has_run(user)
    assert_uncharged(user, 100)


def test_refusal_of_what_the_view_itself_spends_is_its_own() -> None:
    user = make_user(49)
    with pytest.raises(InsufficientCredits):
        ask(signed_in(user), "/charge/report/?spend")
    assert not has_run(user)
    assert_uncharged(user, 49)


@pytest.mark.parametrize("path", ["/charge/report/", "/charge/async/", "/charge/stream/"])
def test_repeated_key_runs_the_view_and_charges_nothing_more(path: str) -> None:
    user = make_user(25)
    client = signed_in(user)
    for _ in range(3):
        answer = ask(client, path, idempotency_key="upload-17")
        assert answer.status_code == 200
        b"".join(answer)
    assert (amounts_of(user.wallet()), user.wallet().held) == ([25, -25], 0)
    assert ask(client, path, idempotency_key="upload-18").status_code == 402


def test_key_of_a_failed_attempt_can_be_used_again() -> None:
    user = make_user(25)
    client = signed_in(user)
    assert ask(client, "/charge/report/?status=503", idempotency_key="upload-17").status_code == 503
    assert ask(client, "/charge/report/", idempotency_key="upload-17").json()["replayed"] is False
    assert ask(client, "/charge/report/", idempotency_key="upload-17").json()["replayed"] is True
    assert amounts_of(user.wallet()) == [25, -25]


@pytest.mark.parametrize("accept", [JSON, "text/html"])
def test_key_of_something_else_is_answered_409(accept: str) -> None:
    user = make_user(100)
    user.wallet().debit(5, idempotency_key="order-9")
    answer = ask(signed_in(user), "/charge/report/", accept=accept, idempotency_key="order-9")
    assert (answer.status_code, answer["Content-Type"]) == (409, "application/problem+json")
    assert "order-9" not in answer.content.decode()
    assert not has_run(user)
    assert_uncharged(user, 100, -5)


@pytest.mark.parametrize("key", ["k" * 256, " "])
def test_key_that_is_none_is_answered_400(key: str) -> None:
    user = make_user(100)
    request = RequestFactory().post("/", headers={"idempotency-key": key, "accept": JSON})
    request.user = user
    answer = charge_report(request)
    assert (answer.status_code, json.loads(answer.content)["field"]) == (400, "idempotency_key")
    assert_uncharged(user, 100)


def test_capped_key_is_answered_429() -> None:
    user = make_user(100)
    user.wallet().set_cap("key_1", 24, every="day")
    answer = ask(signed_in(user), "/charge/report/", x_api_key="key_1")
    assert (answer.status_code, answer.json()["left"]) == (429, 24)
    assert not has_run(user)
    assert_uncharged(user, 100)


def test_methods_that_are_not_guarded_are_free() -> None:
    user = make_user(100)
    client = signed_in(user)
    assert ask(client, "/charge/report/", "GET").json() == {"held": None}
    assert ask(client, "/charge/image/?mb=1", "POST").content == b"ran"
    assert amounts_of(user.wallet()) == [100]
    assert ask(client, "/charge/image/?mb=1", "GET").content == b"ran"
    assert amounts_of(user.wallet()) == [100, -11]


@pytest.mark.behaviour("SPD-12")
def test_free_operation_runs_without_credits_and_without_a_wallet() -> None:
    user, studio = make_user(), Studio.objects.create(name="a")
    request: Any = RequestFactory().post("/")
    request.user = user

    @charges_credits("free", owner=lambda request: request.owner)
    def view(request: Any) -> HttpResponse:
        return HttpResponse(str(request.credit_charge is None))

    with configured(OPERATIONS=FREE):
        for owner, has_no_charge in ((user, b"False"), (studio, b"True")):
            request.owner = owner
            assert view(request).content == has_no_charge
    assert not studio.has_wallet()
    assert_uncharged(user)


def test_owner_that_has_no_wallet_is_refused() -> None:
    studio, client = Studio.objects.create(name="a"), signed_in(make_user(100))
    problem = ask(client, f"/charge/studio/{studio.pk}/?mb=5").json()
    assert (problem["status"], problem["available"], problem["required"]) == (402, 0, 15)
    assert not studio.has_wallet()
    studio.wallet().credit(15)
    assert ask(client, f"/charge/studio/{studio.pk}/?mb=5").json() == {"charge": True}
    assert ask(client, f"/charge/studio/{studio.pk + 1}/?mb=5").status_code == 404


def test_template_that_fails_is_not_charged() -> None:
    user = make_user(100)
    client = signed_in(user)
    for path in ("/charge/page/", "/charge/async/"):
        with pytest.raises(TemplateDoesNotExist):
            ask(client, f"{path}?template=no/such.html")
    assert not has_run(user)
    assert_uncharged(user, 100)
    for path in ("/charge/page/", "/charge/async/"):
        assert ask(client, f"{path}?template=registration/logged_out.html").status_code == 200
    assert amounts_of(user.wallet()) == [100, -25, -25]


def test_async_views_of_classes_are_charged() -> None:
    user = make_user(50)
    client = signed_in(user)
    for path in ("/charge/dispatch/", "/charge/method/"):
        assert ask(client, path).content == b"ran"
    assert [ask(client, path).status_code for path in ("/charge/dispatch/", "/charge/method/")] == [402, 402]
    assert amounts_of(user.wallet()) == [50, -25, -25]


@pytest.mark.django_db(transaction=True)
def test_async_views_are_charged_in_an_event_loop() -> None:
    user = make_user(90)

    async def visit(path: str) -> int:
        client = AsyncClient()
        await client.aforce_login(user)
        return (await client.post(path, headers={"accept": JSON})).status_code

    paths = ("/charge/async/", "/charge/dispatch/", "/charge/report/", "/charge/method/")
    assert [async_to_sync(visit)(path) for path in paths] == [200, 200, 200, 402]
    assert (amounts_of(user.wallet()), user.wallet().held) == ([90, -25, -25, -25], 0)
    assert list(verify()) == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.behaviour("DEC-14")
def test_hold_is_committed_before_the_view_runs_and_within_a_transaction_with_it() -> None:
    user = make_user(100)
    client = signed_in(user)
    begun: list[bool] = []

    def look(execute: Any, sql: str, *rest: Any) -> Any:
        if "INSERT INTO" in sql and "usage_credits_hold" in sql:
            begun.append(len(connection.atomic_blocks) > 1)
        return execute(sql, *rest)

    with connection.execute_wrapper(look):
        ask(client, "/charge/report/")
        ask(client, "/charge/atomic/")
        with pytest.raises(Refused):
            ask(client, "/charge/atomic/?fail")
    assert sorted(set(begun)) == [False, True]
    assert_uncharged(user, 100, -25, -25)


def test_view_that_outlasts_its_hold_is_undone() -> None:
    user = make_user(100)

    with time_machine.travel("2026-01-01", tick=False) as clock:

        @charges_credits("report", ttl=timedelta(minutes=1))
        def view(request: HttpRequest) -> HttpResponse:
            clock.shift(timedelta(minutes=2))
            return HttpResponse("ran")

        request = RequestFactory().post("/")
        request.user = user
        with pytest.raises(HoldNotOpen):
            view(request)
        assert user.credits == 100
    assert amounts_of(user.wallet()) == [100]


def test_view_without_a_response_is_not_charged() -> None:
    user = make_user(100)

    @charges_credits("report")
    def view(request: HttpRequest) -> None:
        return None

    request = RequestFactory().post("/")
    request.user = user
    assert view(request) is None
    assert_uncharged(user, 100)


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("operation", {"operation": None}),
        ("operation", {"operation": lambda request: None}),
        ("params", {"params": 5}),
        ("idempotency_key", {"idempotency_key": "upload-17"}),
        ("ttl", {"ttl": 60}),
        ("methods", {"methods": "GET"}),
    ],
)
def test_bad_options_are_refused_at_once(field: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue) as refused:
        charges_credits(**{"operation": "report", **options})
    assert refused.value.field == field


@pytest.mark.parametrize("gate", [charges_credits, requires_credits])
def test_options_that_no_gate_has_are_refused_at_once(gate: Any) -> None:
    with pytest.raises(TypeError, match="parms"):
        gate("report", parms={"mb": 5})

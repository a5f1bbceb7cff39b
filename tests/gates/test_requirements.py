from __future__ import annotations

import uuid
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.utils.translation import gettext_lazy

from tests.app.models import Newcomer, User
from tests.factories import (
    StudioFactory,
    TeamFactory,
    amounts_of,
    configured,
    make_user,
    stored,
)
from tests.gates.visiting import HOST, JSON, ask, has_run, signed_in, told
from tests.settings import USAGE_CREDITS
from usage_credits import (
    CreditsRequiredMixin,
    InsufficientCredits,
    InvalidOperation,
    InvalidValue,
    Operation,
    requires_credits,
)
from usage_credits.gates.coverage import refusal_of, refusal_of_amount
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db

FREE: Any = [*USAGE_CREDITS["OPERATIONS"], Operation("free", costs=0)]  # type: ignore[misc]


@pytest.mark.behaviour("TOK-01")
def test_one_credit_passes_a_gate_without_an_operation() -> None:
    user = make_user(1)
    assert user.wallet().has_enough_balance(1)
    assert ask(signed_in(user), "/need/one/").content == b"ran"
    assert has_run(user)
    assert (user.credits, amounts_of(user.wallet())) == (1, [1])
    assert refusal_of_amount(user, 1) is None
    assert not user.wallet().has_enough_balance(2)
    refusal = refusal_of_amount(user, 2)
    assert refusal
    assert (refusal.available, refusal.required) == (1, 2)


@pytest.mark.behaviour("TOK-02")
def test_consuming_more_than_there_is_changes_nothing() -> None:
    user = make_user(10)
    with pytest.raises(InsufficientCredits):
        user.wallet().debit(11)
    assert (user.credits, amounts_of(user.wallet())) == (10, [10])
    user.wallet().debit(10)
    assert (user.credits, amounts_of(user.wallet())) == (0, [10, -10])


@pytest.mark.behaviour("TOK-03")
def test_people_without_credits_are_sent_back_with_a_message() -> None:
    user = make_user()
    client = signed_in(user)
    before = stored()
    with capture_events() as events:
        answer = client.post("/need/one/", headers={"referer": f"{HOST}/shop/?page=2"})
    assert (answer.status_code, answer["Location"]) == (302, f"{HOST}/shop/?page=2")
    assert told(client) == ["1 credits are required, 0 credits are available."]
    assert not has_run(user)
    assert stored() == before
    assert events == []


@pytest.mark.behaviour("TOK-03")
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PURGE"])
def test_programs_without_credits_are_answered_402(method: str) -> None:
    user = make_user()
    answer = ask(signed_in(user), "/need/one/", method)
    assert (answer.status_code, answer["Content-Type"]) == (402, "application/problem+json")
    assert answer.json() == {
        "type": "urn:problem-type:usage-credits:insufficient-credits",
        "title": "Not enough credits",
        "status": 402,
        "detail": "1 credits are required, 0 credits are available.",
        "available": 0,
        "required": 1,
    }
    assert not has_run(user)


@pytest.mark.behaviour("TOK-03")
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "TRACE"])
def test_safe_methods_pass_without_credits_and_without_an_account(method: str) -> None:
    assert ask(Client(), "/need/one/", method).status_code == 200
    assert ask(signed_in(make_user()), "/need/one/", method).status_code == 200


@pytest.mark.behaviour("TOK-04")
@pytest.mark.parametrize("path", ["/need/image/", "/need/image/async/", "/need/image/mixin/"])
def test_gate_asks_for_the_price_of_its_operation(path: str) -> None:
    user = make_user(15)
    client = signed_in(user)
    assert ask(client, f"{path}?mb=5").content == b"ran"
    answer = ask(client, f"{path}?mb=6")
    problem = answer.json()
    assert (answer.status_code, problem["operation"]) == (402, "img")
    assert (problem["available"], problem["required"]) == (15, 16)
    assert amounts_of(user.wallet()) == [15]


@pytest.mark.behaviour("TOK-04")
def test_gate_refuses_what_negatives_would_allow_as_has_enough_does() -> None:
    user = make_user(5)
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        user.wallet().debit(20)
        problem = ask(signed_in(user), "/need/image/?mb=1").json()
    assert (problem["available"], problem["required"]) == (0, 11)


def test_gate_counts_what_the_operation_may_spend() -> None:
    user = make_user(10)
    user.give_credits(50, scope=["report"])
    problem = ask(signed_in(user), "/need/image/?mb=1").json()
    assert (problem["available"], problem["required"]) == (10, 11)


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("mb=-1", "mb"),
        ("mb=abc", "The parameters could not be read."),
        ("", "The parameters could not be read."),
        ("mb=" + "9" * 30, "2**63 - 1"),
    ],
)
@pytest.mark.parametrize(
    "path", ["/need/image/", "/need/image/async/", "/need/image/mixin/", "/charge/image/"]
)
@pytest.mark.parametrize("accept", [JSON, "text/html"])
def test_refused_parameters_are_answered_400(path: str, query: str, detail: str, accept: str) -> None:
    user = make_user(100)
    before = stored()
    method = "GET" if "charge" in path else "POST"
    answer = ask(signed_in(user), f"{path}?{query}", method, accept)
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/problem+json")
    assert answer.json()["operation"] == "img"
    assert detail in answer.json()["detail"]
    assert not has_run(user)
    assert stored() == before


def test_rules_of_an_operation_are_told_and_crashes_are_not(caplog: pytest.LogCaptureFixture) -> None:
    rules = [
        (lambda params: params["mb"] < 50, "At most 50 MB."),
        (lambda params: params["secret"] if params["mb"] == 13 else True, "No 13."),
    ]
    with configured(OPERATIONS=[Operation("img", costs=1, validates=rules)]):
        client = signed_in(make_user(100))
        assert ask(client, "/need/image/?mb=60").json()["detail"] == "At most 50 MB."
        assert [record for record in caplog.records if record.name == "usage_credits"] == []
        assert "secret" not in ask(client, "/need/image/?mb=13").content.decode()
    assert "secret" in caplog.text


def test_params_may_be_awaited_and_refuse_by_themselves() -> None:
    client = signed_in(make_user())
    with configured(OPERATIONS=FREE):
        assert ask(client, "/need/free/").content == b"ran"
        answer = ask(client, "/need/free/?refuse")
    assert (answer.status_code, answer.json()["detail"]) == (400, "Not on Sundays.")


def test_unknown_operation_is_no_fault_of_the_request() -> None:
    with pytest.raises(InvalidOperation, match="teleport"):
        ask(signed_in(make_user(100)), "/need/unknown/")


@pytest.mark.parametrize("path", ["/need/one/", "/need/report/mixin/", "/charge/report/", "/charge/async/"])
def test_nobody_signed_in_is_asked_to(path: str) -> None:
    before = stored()
    answer = ask(Client(), path)
    assert (answer.status_code, answer["Content-Type"]) == (401, "application/problem+json")
    assert answer["WWW-Authenticate"]
    answer = Client().post(path)
    assert (answer.status_code, answer["Location"]) == (302, f"/accounts/login/?next={path}")
    answer = Client().post(path, headers={"referer": f"{HOST}/form/"})
    assert answer["Location"] == "/accounts/login/?next=http%3A//testserver/form/"
    assert stored() == before


def test_who_has_nobody_to_charge_is_refused() -> None:
    client = signed_in(make_user(100))
    assert ask(client, "/need/nobody/").status_code == 403
    assert client.post("/need/nobody/").status_code == 403
    assert ask(Client(), "/need/nobody/").status_code == 401


def test_owner_may_be_a_team_and_capped() -> None:
    team, client = TeamFactory.create(), signed_in(make_user(100))
    assert ask(client, f"/need/team/{team.pk}/").json()["available"] == 0
    team.give_credits(60)
    assert ask(client, f"/need/team/{team.pk}/").content == b"ran"
    assert ask(client, f"/need/team/{uuid.uuid4()}/").status_code == 404
    team.wallet().set_cap("key_1", 30, every="day")
    assert ask(client, f"/need/team/{team.pk}/", x_api_key="key_1").content == b"ran"
    team.wallet().debit(10, attributed_to="key_1")
    answer = ask(client, f"/need/team/{team.pk}/", x_api_key="key_1")
    problem = answer.json()
    assert (answer.status_code, problem["limit"], problem["left"], problem["required"]) == (429, 30, 20, 25)
    assert 0 < int(answer["Retry-After"]) <= 24 * 60 * 60
    assert ask(client, f"/need/team/{team.pk}/", x_api_key="key_2").content == b"ran"
    page = client.post(f"/need/team/{team.pk}/", headers={"x-api-key": "key_1"})
    assert page.status_code == 302


def test_owner_without_a_wallet_has_its_initial_balance_or_nothing() -> None:
    Newcomer.objects.bulk_create([Newcomer(name="ada")])
    newcomer, studio, client = Newcomer.objects.get(), StudioFactory.create(), signed_in(make_user())
    before = stored()
    assert ask(client, f"/need/newcomer/{newcomer.pk}/").content == b"ran"
    problem = ask(client, f"/need/studio/{studio.pk}/").json()
    assert (problem["available"], problem["required"]) == (0, 25)
    assert refusal_of_amount(studio, 1) is not None
    assert refusal_of(newcomer, "img", {"mb": 91}) is not None
    assert refusal_of(newcomer, "img", {"mb": 90}) is None
    assert stored() == before


def test_owner_that_has_no_wallets_is_refused() -> None:
    @requires_credits("report", owner=lambda request: "ada")
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("ran")

    with pytest.raises(InvalidValue, match="HasWallet") as refused:
        view(RequestFactory().post("/"))
    assert refused.value.field == "owner"


@pytest.mark.behaviour("TOK-22")
def test_message_may_tell_of_a_recharge_that_is_on_its_way() -> None:
    user = make_user(24)
    client = signed_in(user)
    answer = client.post("/need/report/")
    assert (answer.status_code, answer["Location"]) == (302, "/told/")
    assert told(client) == ["/need/report/ wants 25, a recharge is on its way"]
    user.give_credits(1)
    assert client.post("/need/report/").content == b"ran"


def test_methods_that_are_named_are_guarded_and_no_others() -> None:
    client = signed_in(make_user())
    for method in ("GET", "HEAD", "POST"):
        assert ask(client, "/need/report/", method).status_code == 402
    assert ask(client, "/need/report/", "DELETE").content == b"ran"


def test_async_views_of_classes_are_guarded() -> None:
    user = make_user(24)
    client = signed_in(user)
    for path in ("/need/report/mixin/", "/need/report/dispatch/"):
        assert ask(client, path, "GET").content == b"form"
        assert ask(client, path).json()["required"] == 25
    assert client.post("/need/report/mixin/")["Location"] == "/told/"
    assert told(client) == ["Buy some first."]
    user.give_credits(1)
    for path in ("/need/report/mixin/", "/need/report/dispatch/"):
        assert ask(client, path).content == b"ran"


@pytest.mark.django_db(transaction=True)
def test_async_views_are_guarded_in_an_event_loop() -> None:
    user = make_user(24)

    async def visit(path: str) -> int:
        client = AsyncClient()
        await client.aforce_login(user)
        return (await client.post(path, headers={"accept": JSON})).status_code

    paths = ("/need/image/async/?mb=15", "/need/report/mixin/", "/need/report/dispatch/", "/need/one/")
    assert [async_to_sync(visit)(path) for path in paths] == [402, 402, 402, 200]
    user.give_credits(1)
    assert [async_to_sync(visit)(path) for path in paths] == [200] * 4


def test_mixin_without_an_operation_says_so() -> None:
    with pytest.raises(ImproperlyConfigured, match="Nameless"):
        signed_in(make_user(1)).post("/need/nameless/")


def test_view_keeps_its_name_and_marks() -> None:
    @requires_credits("report")
    def view(request: HttpRequest) -> HttpResponse:
        """Say hello."""
        return HttpResponse("ran")

    assert (view.__name__, view.__doc__) == ("view", "Say hello.")


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("operation", {"operation": 5}),
        ("operation", {"operation": lambda request: None}),
        ("operation", {"operation": ""}),
        ("params", {"operation": "img", "params": [("mb", 5)]}),
        ("owner", {"operation": "img", "owner": "team"}),
        ("methods", {"operation": "img", "methods": "POST"}),
        ("methods", {"operation": "img", "methods": []}),
        ("methods", {"operation": "img", "methods": [5]}),
        ("amount", {"amount": 0}),
        ("amount", {"amount": True}),
        ("amount", {"operation": "img", "amount": 5}),
    ],
)
def test_bad_options_are_refused_at_once(field: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue) as refused:
        requires_credits(**options)
    assert refused.value.field == field


def test_params_that_are_no_mapping_are_refused() -> None:
    @requires_credits("img", params=lambda request: [5])  # type: ignore[arg-type, return-value]
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("ran")

    request = RequestFactory().post("/")
    request.user = make_user(100)
    with pytest.raises(InvalidValue) as refused:
        view(request)
    assert refused.value.field == "params"


@pytest.mark.parametrize("name", ["attributed_to", "idempotency_key", "metadata", "ttl", "amount"])
def test_client_cannot_slip_options_in_as_parameters(name: str) -> None:
    @requires_credits("report", params=lambda request: request.GET.dict())
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("ran")

    request = RequestFactory().post(f"/?{name}=x")
    request.user = make_user(100)
    assert view(request).status_code == 400


def test_lazy_message_is_shown_as_it_is() -> None:
    class View(CreditsRequiredMixin):
        message = gettext_lazy("Log in")

    assert View().get_message(InsufficientCredits(0, 1)) == "Log in"


def test_user_that_pays_is_asked_for_in_one_statement(django_assert_num_queries: Any) -> None:
    user = User.objects.get(pk=make_user(100).pk)
    refusal_of(user, "report")
    with django_assert_num_queries(1):
        assert refusal_of(user, "report") is None

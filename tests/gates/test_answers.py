from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings
from django.urls import set_script_prefix

from tests.app import gated
from tests.factories import make_user
from tests.gates.visiting import BROWSER, HOST, JSON, signed_in
from usage_credits import charges_credits, requires_credits

pytestmark = pytest.mark.django_db

FORM = "application/x-www-form-urlencoded"


@pytest.mark.behaviour("TOK-03")
@pytest.mark.parametrize(
    ("accept", "sent", "status"),
    [
        (BROWSER, FORM, 302),
        (BROWSER, JSON, 302),
        ("text/html", FORM, 302),
        ("text/*", FORM, 302),
        ("*/*", FORM, 302),
        (None, FORM, 302),
        ("text/html, application/json", FORM, 302),
        ("application/json;q=0.5, text/html;q=0.9", FORM, 302),
        ("*/*", JSON, 402),
        ("*/*", "application/vnd.api+json; charset=utf-8", 402),
        (None, JSON, 402),
        (JSON, FORM, 402),
        ("application/json, text/plain, */*", FORM, 402),
        ("application/json, text/html;q=0.9", FORM, 402),
        ("application/problem+json", FORM, 402),
        ("application/vnd.api+json", FORM, 402),
        ("application/*", FORM, 402),
        ("text/event-stream", FORM, 402),
        ("", FORM, 402),
        ("nonsense", FORM, 402),
    ],
)
def test_answer_suits_who_asks(accept: str | None, sent: str, status: int) -> None:
    headers = {} if accept is None else {"accept": accept}
    answer = signed_in(make_user()).post("/need/one/", data=b"{}", content_type=sent, headers=headers)
    assert answer.status_code == status
    assert "Accept" in answer["Vary"]


@pytest.mark.parametrize(
    ("referer", "location"),
    [
        (f"{HOST}/shop/", f"{HOST}/shop/"),
        ("https://testserver/shop/", "https://testserver/shop/"),
        ("https://evil.example/shop/", "/"),
        ("http://testserver.evil.example/", "/"),
        ("//evil.example", "/"),
        ("http:///evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("http://testserver@evil.example/", "/"),
        ("", "/"),
    ],
)
def test_people_are_sent_back_on_this_host_only(referer: str, location: str) -> None:
    answer = signed_in(make_user()).post("/need/one/", headers={"referer": referer})
    assert (answer.status_code, answer["Location"]) == (302, location)


def test_page_of_a_secure_site_is_not_left_for_an_insecure_one() -> None:
    client = signed_in(make_user())
    answer = client.post("/need/one/", headers={"referer": f"{HOST}/shop/"}, secure=True)
    assert answer["Location"] == "/"


def test_guarded_page_is_not_what_people_are_sent_back_to() -> None:
    @requires_credits("report", methods=["GET"])
    def page(request: HttpRequest) -> HttpResponse:
        return HttpResponse("ran")

    for referer, location in ((f"{HOST}/page/?a=1", "/"), (f"{HOST}/other/", f"{HOST}/other/")):
        request = RequestFactory().get("/page/", headers={"referer": referer})
        request.user = make_user()
        assert page(request)["Location"] == location


def test_people_are_sent_to_the_start_of_the_site_below_its_prefix() -> None:
    request = RequestFactory().post("/need/one/")
    request.user = make_user()
    set_script_prefix("/shop/")
    try:
        assert gated.need_one(request)["Location"] == "/shop/"
    finally:
        set_script_prefix("/")


@pytest.mark.parametrize("decorate", [requires_credits, charges_credits])
def test_people_are_redirected_where_messages_are_not_installed(
    decorate: Callable[[str], Callable[[Any], Any]],
) -> None:
    @decorate("report")
    def view(request: HttpRequest) -> HttpResponse:
        return HttpResponse("ran")

    request = RequestFactory().post("/")
    request.user = make_user()
    answer = view(request)
    assert (answer.status_code, answer["Location"]) == (302, "/")


def test_request_without_a_user_is_nobodys() -> None:
    request = RequestFactory().post("/", headers={"accept": JSON})
    assert gated.need_one(request).status_code == 401
    request.user = AnonymousUser()
    assert gated.need_one(request).status_code == 401


def test_people_are_asked_to_sign_in_where_settings_say() -> None:
    with override_settings(LOGIN_URL="/sign-in/"):
        request = RequestFactory().post("/need/one/?a=1&b=2")
        assert gated.need_one(request)["Location"] == "/sign-in/?next=/need/one/%3Fa%3D1%26b%3D2"

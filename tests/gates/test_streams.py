from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.core.handlers.asgi import ASGIHandler
from django.test import AsyncClient

from tests.app import gated
from tests.app.gated import Refused
from tests.app.models import User
from tests.factories import amounts_of, make_user
from tests.gates.visiting import ask, has_run, signed_in
from usage_credits import InsufficientCredits
from usage_credits.ledger.verification import verify
from usage_credits.models import Hold

# The end of a request closes its connection, which may not have a transaction open then.
pytestmark = pytest.mark.django_db(transaction=True)


def state_of(user: User) -> tuple[list[int], int]:
    return amounts_of(user.wallet()), user.wallet().held


def test_stream_is_charged_when_it_was_read_to_its_end() -> None:
    user = make_user(100)
    answer = ask(signed_in(user), "/charge/stream/")
    assert (state_of(user), has_run(user)) == (([100], 25), True)
    parts = iter(answer)
    assert next(parts) == b"one "
    assert state_of(user) == ([100], 25)
    assert list(parts) == [b"two"]
    assert state_of(user) == ([100, -25], 0)
    answer.close()
    assert state_of(user) == ([100, -25], 0)
    assert list(verify()) == []


@pytest.mark.parametrize("taken", [0, 1])
def test_stream_that_is_closed_before_its_end_is_not_charged(taken: int) -> None:
    user = make_user(100)
    answer = ask(signed_in(user), "/charge/stream/")
    parts = iter(answer)
    for _ in range(taken):
        next(parts)
    answer.close()
    assert state_of(user) == ([100], 0)
    assert not Hold.objects.filter(is_open=True).exists()


def test_stream_that_breaks_is_not_charged() -> None:
    user = make_user(100)
    answer = ask(signed_in(user), "/charge/stream/?break")
    with pytest.raises(Refused):
        list(answer)
    assert state_of(user) == ([100], 0)
    answer.close()
    assert state_of(user) == ([100], 0)


def test_stream_is_charged_what_it_says_it_used() -> None:
    user = make_user(100)
    list(ask(signed_in(user), "/charge/stream/?amount=40"))
    assert state_of(user) == ([100, -40], 0)
    with pytest.raises(InsufficientCredits):
        list(ask(signed_in(user), "/charge/stream/?amount=61"))
    assert state_of(user) == ([100, -40], 0)
    assert list(verify()) == []


def test_file_is_charged_when_it_was_read() -> None:
    user = make_user(100)
    answer = ask(signed_in(user), "/charge/file/")
    assert state_of(user) == ([100], 25)
    with open(gated.__file__, "rb") as file:
        assert b"".join(answer) == file.read()
    answer.close()
    assert state_of(user) == ([100, -25], 0)


def test_async_stream_is_charged_when_it_was_read_to_its_end() -> None:
    user = make_user(100)

    async def read(path: str) -> list[bytes]:
        client = AsyncClient()
        await client.aforce_login(user)
        answer: Any = await client.post(path)
        return [part async for part in answer]

    assert async_to_sync(read)("/charge/stream/async/") == [b"one ", b"two"]
    assert state_of(user) == ([100, -25], 0)
    with pytest.raises(Refused):
        async_to_sync(read)("/charge/stream/async/?break")
    assert state_of(user) == ([100, -25], 0)
    assert not Hold.objects.filter(is_open=True).exists()


@pytest.mark.parametrize(
    ("path", "query"), [("/charge/stream/async/", b"sleep=30"), ("/charge/stream/async/", b"sleep=0")]
)
def test_client_that_goes_away_is_charged_only_for_what_was_sent_whole(path: str, query: bytes) -> None:
    user = make_user(100)
    cookie = signed_in(user).cookies.output(header="", sep=";").encode()
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/charge/stream/async/",
        "query_string": query,
        "headers": [(b"host", b"testserver"), (b"cookie", cookie.strip())],
    }

    async def leave() -> None:
        browser: Any = ApplicationCommunicator(ASGIHandler(), scope)  # type: ignore[no-untyped-call]
        await browser.send_input({"type": "http.request"})
        assert (await browser.receive_output(10))["status"] == 200
        assert (await browser.receive_output(10))["body"] == b"one "
        if query == b"sleep=0":
            assert (await browser.receive_output(10))["body"] == b"two"
            while (await browser.receive_output(10)).get("more_body"):
                await asyncio.sleep(0)
        await browser.send_input({"type": "http.disconnect"})
        await browser.wait(10)

    async_to_sync(leave)()
    assert state_of(user) == (([100, -25], 0) if query == b"sleep=0" else ([100], 0))
    assert not Hold.objects.filter(is_open=True).exists()
    assert list(verify()) == []

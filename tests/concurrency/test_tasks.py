from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.core.handlers.asgi import ASGIHandler
from django.test import AsyncRequestFactory

from tests.factories import amounts_of, make_user
from usage_credits import InsufficientCredits
from usage_credits.ledger.verification import verify

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

SPENDS = 20


async def visit(application: ASGIHandler, path: str) -> int:
    """Send a request as a server does, and return the status of the answer."""
    scope: Any = AsyncRequestFactory().generic("GET", path).scope
    server: Any = ApplicationCommunicator(application, scope)  # type: ignore[no-untyped-call]
    await server.send_input({"type": "http.request", "body": b""})
    status: int = (await server.receive_output(timeout=60))["status"]
    await server.receive_output(timeout=60)
    await server.wait(timeout=60)
    return status


@pytest.mark.parametrize("paths", [["/spend/{}/"], ["/work/{}/"], ["/spend/{}/", "/work/{}/"]], ids=str)
def test_requests_at_once_are_paid_as_far_as_credits_go(paths: list[str]) -> None:
    user = make_user(330)

    async def serve() -> list[int]:
        application = ASGIHandler()
        requests = [paths[number % len(paths)].format(user.pk) for number in range(SPENDS)]
        return await asyncio.gather(*(visit(application, path) for path in requests))

    # Not by async_to_sync, which would run all requests in the thread of the test, one after the other.
    statuses = asyncio.run(serve())

    assert Counter(statuses) == {200: 13, 402: 7}
    assert Counter(amounts_of(user.wallet())) == {330: 1, -25: 13}
    assert (user.credits, user.wallet().held) == (5, 0)
    assert list(verify()) == []


def test_tasks_of_one_loop_are_paid_as_far_as_credits_go() -> None:
    user = make_user(330)

    async def spend(number: int) -> str:
        try:
            if number % 2:
                await user.aspend_credits_on("report")
            else:
                async with user.spending_credits_on("report"):
                    await asyncio.sleep(0.001 * number)
        except InsufficientCredits:
            return "refused"
        return "paid"

    async def main() -> list[str]:
        return await asyncio.gather(*(spend(number) for number in range(SPENDS)))

    assert Counter(async_to_sync(main)()) == {"paid": 13, "refused": 7}
    assert Counter(amounts_of(user.wallet())) == {330: 1, -25: 13}
    assert (user.credits, user.wallet().held) == (5, 0)
    assert list(verify()) == []

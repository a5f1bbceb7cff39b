from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient

from tests.app.models import User
from tests.factories import amounts_of, configured, make_user
from tests.gates.visiting import ask, signed_in
from tests.settings import USAGE_CREDITS
from usage_credits import (
    CapExceeded,
    InsufficientCredits,
    InvalidOperation,
    Operation,
    credits,
    token_prices,
    token_rates,
    usage_summary,
)
from usage_credits.charging import SpendingBlock
from usage_credits.ledger.verification import verify
from usage_credits.models import Transaction
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db

# One credit for an input token, two for an output token; what they cost is 3 and 15 dollars a million.
CHAT = Operation(
    "chat",
    costs=token_rates({"small": (credits(1), credits(2)), "local": 0}, every=1),
    validates=[(lambda params: params.get("output_tokens", 0) <= 1_000, "at most 1000 tokens")],
    provider_cost=token_prices({"small": (3, 15)}),
)
UNITS = Operation("units", costs=credits(1).per("unit"))
OPERATIONS: Any = [*USAGE_CREDITS["OPERATIONS"], CHAT, UNITS]  # type: ignore[misc]


@pytest.fixture(autouse=True)
def priced() -> Iterator[None]:
    with configured(OPERATIONS=OPERATIONS):
        yield
        assert list(verify()) == []


def chatting(user: User, **options: Any) -> SpendingBlock:
    """Charge for an answer to 10 tokens of at most 45 tokens: 100 credits."""
    given = {"model": "small", "member": "ada", "input_tokens": 10, "output_tokens": 45, **options}
    return user.spending_credits_on("chat", **given)


def charge_of(user: User) -> Transaction:
    row = user.credit_history.last()
    assert row
    return row


@pytest.mark.behaviour("TOK-13", "TOK-14", "DEC-14")
def test_charge_what_was_used_of_what_was_held() -> None:
    user = make_user(100)
    with chatting(user, metadata={"thread": 5}, attributed_to="key_1") as charge:
        assert (user.credits, charge.amount) == (0, 100)
        assert charge.used(output_tokens=20) == charge.amount == 50
    row = charge_of(user)
    assert charge.transaction == row
    assert (row.amount, row.hold, row.attributed_to) == (-50, charge.hold, "key_1")
    assert (row.model, row.member, row.tokens, row.operation) == ("small", "ada", 30, "chat")
    assert (row.provider_cost, row.provider_currency) == (Decimal("0.033"), "usd")
    assert (row.metadata["cost"], row.metadata["provider_cost"]) == (50, "0.033")
    assert row.metadata["params"] == {
        "model": "small",
        "member": "ada",
        "input_tokens": 10,
        "output_tokens": 20,
    }
    assert row.metadata["metadata"] == {"thread": 5}
    assert (user.credits, user.wallet().held) == (50, 0)


@pytest.mark.behaviour("TOK-16")
def test_report_what_was_used() -> None:
    user = make_user(1_000)
    for output in (20, 30):
        with chatting(user) as charge:
            charge.used(output_tokens=output)
    user.spend_credits_on("chat", model="small", input_tokens=1, output_tokens=0)
    summary = usage_summary(user)
    assert summary.by_model == {"small": 121}
    assert summary.by_member == {"ada": 120, None: 1}
    assert summary.tokens == 71
    assert summary.provider_costs == {"usd": Decimal("0.0813")}
    charge_of(user).reverse()
    assert usage_summary(user).tokens == 70


def test_charge_the_price_with_what_it_counts() -> None:
    user = make_user(100)
    with chatting(user):
        pass
    row = charge_of(user)
    assert (row.amount, row.tokens, row.provider_cost) == (-100, 55, Decimal("0.0705"))


def test_amount_of_its_own_says_nothing_of_tokens() -> None:
    user = make_user(100)
    with chatting(user) as charge:
        charge.amount = 40
    row = charge_of(user)
    assert (row.amount, row.model, row.member) == (-40, "small", "ada")
    assert (row.tokens, row.provider_cost) == (None, None)


def test_amount_that_is_set_after_it_is_charged_for_what_was_used() -> None:
    user = make_user(100)
    with chatting(user) as charge:
        charge.used(output_tokens=20)
        charge.amount = 25
    row = charge_of(user)
    assert (row.amount, row.tokens, row.metadata["cost"]) == (-25, 30, 50)


def test_last_word_counts_and_keeps_what_was_said_before() -> None:
    user = make_user(100)
    with chatting(user) as charge:
        charge.amount = 3
        prices = [charge.used(output_tokens=n) for n in (1, 2, 3)] + [charge.used(input_tokens=4)]
    assert prices == [12, 14, 16, 10]
    row = charge_of(user)
    assert (row.amount, row.tokens, row.metadata["params"]["output_tokens"]) == (-10, 7, 3)


def test_use_without_a_price_charges_nothing() -> None:
    user = make_user(100)
    with chatting(user) as charge:
        assert charge.used(model="local") == 0
    assert (amounts_of(user.wallet()), user.wallet().held, charge.transaction) == ([100], 0, None)


def test_free_work_is_charged_for_what_it_used() -> None:
    user = make_user(100)
    with chatting(user, model="local") as charge:
        assert charge.hold is None
        charge.used(model="small", output_tokens=20)
    row = charge_of(user)
    assert (row.amount, row.model, row.tokens, row.hold) == (-50, "small", 30, None)


def test_more_than_was_held_is_taken_where_it_is_there() -> None:
    user = make_user(150)
    with chatting(user) as charge:
        charge.used(output_tokens=70)
    assert (charge_of(user).amount, user.credits) == (-150, 0)
    user.give_credits(100)
    with capture_events() as events, pytest.raises(InsufficientCredits) as refusal, chatting(user) as charge:
        charge.used(output_tokens=46)
    assert (refusal.value.available, refusal.value.required) == (100, 102)
    (refused,) = [event for event in events if event.event == "insufficient_credits"]
    assert refused.metadata
    assert refused.metadata["params"]["output_tokens"] == 46
    assert (user.credits, user.wallet().held) == (100, 0)
    assert amounts_of(user.wallet()) == [150, -150, 100]


def test_caps_count_what_was_used() -> None:
    user = make_user(1_000)
    user.wallet().set_cap("key_1", 120, every="day")
    with chatting(user, attributed_to="key_1") as charge:
        charge.used(output_tokens=20)
    assert user.wallet().caps("key_1")[0].left == 70
    user.wallet().set_cap("key_1", 150, every="day")
    with pytest.raises(CapExceeded), chatting(user, attributed_to="key_1") as charge:
        charge.used(output_tokens=46)
    assert user.credits == 950


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"output_tokens": 1_001}, "at most 1000"),
        ({"output_tokens": -1}, "output_tokens"),
        ({"model": "gold"}, "gold"),
        ({"amount": 5}, "amount"),
        ({"metadata": {}}, "metadata"),
    ],
)
def test_refused_use_leaves_the_charge_as_it_was(params: dict[str, Any], why: str) -> None:
    user = make_user(100)
    with chatting(user) as charge:
        charge.used(output_tokens=20)
        with pytest.raises(InvalidOperation, match=why):
            charge.used(**params)
    assert (charge_of(user).amount, charge_of(user).tokens) == (-50, 30)


@pytest.mark.parametrize(
    ("operation", "quoted", "used", "price"),
    [
        ("img", {"mb": 5}, {"kb": 2_048}, 12),
        ("img", {"size": 5 * 1024**2}, {"size_megabytes": 1}, 11),
        ("img", {"kb": 1}, {"mb": 7}, 17),
        ("img", {"mb": 5}, {"frames": 3}, 15),
        ("units", {"units": 9}, {"unit": 4}, 4),
        ("units", {"unit": 9}, {"units": 4}, 4),
    ],
)
def test_use_may_be_spelled_otherwise(
    operation: str, quoted: dict[str, Any], used: dict[str, Any], price: int
) -> None:
    user = make_user(100)
    with user.spending_credits_on(operation, **quoted) as charge:
        assert charge.used(**used) == price
    assert charge_of(user).amount == -price


def test_use_is_charged_once_under_a_key() -> None:
    user = make_user(200)
    for output in (20, 30):
        with chatting(user, idempotency_key="job") as charge:
            charge.used(output_tokens=output)
        assert charge.transaction == charge_of(user)
    assert (amounts_of(user.wallet()), charge_of(user).tokens) == ([200, -50], 30)


@pytest.mark.django_db(transaction=True)
@pytest.mark.behaviour("TOK-14", "DEC-14")
def test_awaited_work_is_charged_what_it_used() -> None:
    user = make_user(100)

    async def chat() -> None:
        async with chatting(user) as charge:
            await asyncio.sleep(0)
            charge.used(output_tokens=20)

    async_to_sync(chat)()
    assert (charge_of(user).amount, charge_of(user).tokens, user.wallet().held) == (-50, 30, 0)


async def read_async(user: User, path: str) -> bytes:
    client = AsyncClient()
    await client.aforce_login(user)
    answer: Any = await client.post(path)
    return b"".join([part async for part in answer] if answer.streaming else answer)


def read(user: User, path: str) -> bytes:
    return b"".join(ask(signed_in(user), path))


@pytest.mark.django_db(transaction=True)
@pytest.mark.behaviour("TOK-13", "TOK-14")
@pytest.mark.parametrize(
    ("visit", "path"),
    [
        (read, "/chat/"),
        (read, "/chat/async/"),
        (read, "/chat/stream/"),
        (async_to_sync(read_async), "/chat/"),
        (async_to_sync(read_async), "/chat/async/"),
        (async_to_sync(read_async), "/chat/stream/async/"),
    ],
)
def test_view_is_charged_what_it_used(visit: Callable[[User, str], bytes], path: str) -> None:
    user = make_user(100)
    assert visit(user, f"{path}?words=20") == b"word " * 20
    row = charge_of(user)
    assert (row.amount, row.tokens, row.provider_cost) == (-50, 30, Decimal("0.033"))
    assert user.wallet().held == 0
    assert usage_summary(user).tokens == 30


@pytest.mark.django_db(transaction=True)
def test_stream_that_ends_early_is_charged_nothing_of_what_it_used() -> None:
    user = make_user(100)
    answer = ask(signed_in(user), "/chat/stream/?words=20")
    parts = iter(answer)
    assert [next(parts) for _ in range(5)] == [b"word "] * 5
    answer.close()
    assert (amounts_of(user.wallet()), user.wallet().held) == ([100], 0)
    assert ask(signed_in(user), "/chat/?words=20&status=503").status_code == 503
    assert (amounts_of(user.wallet()), user.wallet().held) == ([100], 0)


@pytest.mark.django_db(transaction=True)
def test_view_that_used_more_than_there_is_is_refused() -> None:
    user = make_user(100)
    problem = ask(signed_in(user), "/chat/?words=46").json()
    assert (problem["status"], problem["available"], problem["required"]) == (402, 100, 102)
    with pytest.raises(InsufficientCredits):
        list(ask(signed_in(user), "/chat/stream/?words=46"))
    assert (amounts_of(user.wallet()), user.wallet().held) == ([100], 0)

"""What the processes of the concurrency tests do. Results are plain values that travel between processes."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.test import Client

from tests.app.gated import COUNTED
from tests.app.models import Newcomer
from tests.concurrency.processes import run_in_threads
from tests.concurrency.servers import connect, send
from usage_credits import CapExceeded, InsufficientCredits
from usage_credits.billing.fulfillment import Fulfilled, fulfill_due
from usage_credits.ledger.batches import DebitItem
from usage_credits.ledger.expiry import book_expired
from usage_credits.models import Transaction, Transfer, Wallet


def outcome_of(call: Callable[[], object], done: str, refusal: type[Exception] = InsufficientCredits) -> str:
    """Call it; answer `done`, "refused", or the name of any other error."""
    try:
        call()
    except refusal:
        return "refused"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return done


def debit_repeatedly(wallet_id: int, times: int, amount: int) -> list[str]:
    """Debit `times` times; answer "paid" or "refused" for each, or the name of any other error."""
    wallet = Wallet.objects.get(pk=wallet_id)
    return [outcome_of(lambda: wallet.debit(amount), "paid") for _ in range(times)]


def credit_repeatedly(wallet_id: int, times: int, amount: int) -> int:
    wallet = Wallet.objects.get(pk=wallet_id)
    return sum(wallet.credit(amount).amount for _ in range(times))


def debit_under_one_key(wallet_id: int, key: str) -> tuple[int, bool]:
    row = Wallet.objects.get(pk=wallet_id).debit(10, idempotency_key=key)
    return row.pk, row.replayed


def open_wallets(owner_id: int, times: int) -> list[int]:
    """Ask for the owner's wallet as a request would that meets the owner for the first time."""
    pks = []
    for _ in range(times):
        ContentType.objects.clear_cache()
        wallet = Newcomer.objects.get(pk=owner_id).wallet()
        pks.append(wallet.pk)
    return pks


def open_wallet_inside_a_transaction(owner_id: int) -> tuple[int, int]:
    """Open the wallet inside the caller's transaction, which must stay usable whoever wins the race."""
    with transaction.atomic():
        owner = Newcomer.objects.get(pk=owner_id)
        wallet = owner.wallet()
        wallet.debit(1)
        get_user_model().objects.count()
    return wallet.pk, owner.pk


def debit_many_under_keys(wallet_id: int, keys: list[str], mode: Any) -> list[tuple[int, bool]]:
    """Debit 3 under each key in one batch; answer each row and whether it is a replay."""
    items: list[DebitItem] = [{"amount": 3, "idempotency_key": key} for key in keys]
    rows: Any = Wallet.objects.get(pk=wallet_id).debit_many(items, mode=mode)
    return [(row.pk, row.replayed) for row in rows]


def transfer_repeatedly(from_id: int, to_id: int, times: int, amount: int) -> list[str]:
    sender, receiver = Wallet.objects.get(pk=from_id), Wallet.objects.get(pk=to_id)
    return [outcome_of(lambda: sender.transfer_to(receiver, amount), "moved") for _ in range(times)]


def transfer_under_one_key(from_id: int, to_id: int, key: str) -> tuple[int, bool]:
    sender, receiver = Wallet.objects.get(pk=from_id), Wallet.objects.get(pk=to_id)
    moved = sender.transfer_to(receiver, 10, idempotency_key=key)
    return moved.pk, moved.replayed


def reverse_row(row_id: int) -> list[tuple[int, bool]]:
    return [(row.pk, row.replayed) for row in Transaction.objects.get(pk=row_id).reverse()]


def reverse_transfer(transfer_id: int) -> list[tuple[int, bool]]:
    return [(row.pk, row.replayed) for row in Transfer.objects.get(pk=transfer_id).reverse()]


MOVES: list[Callable[[Wallet, Wallet, int], object]] = [
    lambda wallet, other, amount: wallet.hold(amount).release(),
    lambda wallet, other, amount: wallet.hold(amount).capture(1, final=True).reverse(),
    lambda wallet, other, amount: wallet.hold(amount).capture(amount + 1).reverse(),
    lambda wallet, other, amount: wallet.debit(amount).reverse(),
    lambda wallet, other, amount: wallet.transfer_to(other, amount),
    lambda wallet, other, amount: wallet.transfer_to(other, amount).reverse(),
]
"""Each leaves what both wallets have together, less what is claimed of them, as it was."""


def move_about(wallet_id: int, other_id: int, times: int, seed: int) -> list[str]:
    """Hold, charge, transfer and reverse at random; answer what was raised besides refusals."""
    chance = random.Random(seed)
    wallet, other = Wallet.objects.get(pk=wallet_id), Wallet.objects.get(pk=other_id)
    outcomes = [
        outcome_of(lambda: chance.choice(MOVES)(wallet, other, chance.randint(1, 25)), "moved")
        for _ in range(times)
    ]
    return [outcome for outcome in outcomes if outcome not in {"moved", "refused"}]


def spend_repeatedly(user_id: int, times: int) -> list[str]:
    user = get_user_model().objects.get(pk=user_id)
    return [outcome_of(lambda: user.spend_credits_on("report"), "paid") for _ in range(times)]


def expire(batch_size: int) -> tuple[int, int]:
    """Book what has expired; answer how many lots and credits."""
    batches = list(book_expired(batch_size=batch_size))
    return sum(batch.lots for batch in batches), sum(batch.credits for batch in batches)


def fulfill(batch_size: int) -> Fulfilled:
    return sum(fulfill_due(batch_size=batch_size), Fulfilled())


def fulfill_until_killed(batch_size: int, batches: int, marker: str) -> None:
    """Award `batches` batches and die in the middle of the next one, by a signal that cannot be caught.

    The file `marker` appears a moment before, so that another worker can run into what this one still holds.
    """
    awarding = fulfill_due(batch_size=batch_size)
    done = 0
    while done < batches:
        done += bool(next(awarding).awarded)

    def die(call: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        result = call(sql, params, many, context)
        if "INSERT INTO" in sql and "usage_credits_lot" in sql:
            Path(marker).touch()
            time.sleep(0.5)
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    with connection.execute_wrapper(die):
        sum(awarding, Fulfilled())


def spend_in_a_block(user_id: int, amount: int) -> str:
    """Work for a while in a block that is charged `amount`; answer "paid" or "refused before the work"."""
    user = get_user_model().objects.get(pk=user_id)
    started = False
    try:
        # An image of so many megabytes costs 10 more.
        with user.spending_credits_on("img", mb=amount - 10):
            started = True
            time.sleep(0.5)
    except InsufficientCredits:
        return "refused after the work" if started else "refused before the work"
    return "paid"


def die_in_a_block(user_id: int) -> None:
    """Be killed in the middle of work that is charged for."""
    user = get_user_model().objects.get(pk=user_id)
    with user.spending_credits_on("report"):
        get_user_model().objects.filter(pk=user_id).update(first_name="worked")
        os.kill(os.getpid(), signal.SIGKILL)


def hold_repeatedly(wallet_id: int, times: int, amount: int) -> int:
    """Hold and, by turns, capture, capture in part, or release; answer what was charged."""
    wallet = Wallet.objects.get(pk=wallet_id)
    charged = 0
    for number in range(times):
        try:
            held = wallet.hold(amount)
        except InsufficientCredits:
            continue
        match number % 3:
            case 0:
                charged -= held.capture().amount
            case 1:
                charged -= held.capture(1, final=True).amount
            case _:
                held.release()
    return charged


def spend_under_a_cap(wallet_id: int, key: str, times: int, amount: int) -> list[str]:
    """Spend as `key`, by turns by a debit, by a hold that is captured, and by one that is given back."""
    wallet = Wallet.objects.get(pk=wallet_id)
    ways: list[tuple[Callable[[], object], str]] = [
        (lambda: wallet.debit(amount, attributed_to=key), "paid"),
        (lambda: wallet.hold(amount, attributed_to=key).capture(), "paid"),
        (lambda: wallet.hold(amount, attributed_to=key).release(), "given back"),
    ]
    outcomes = [outcome_of(*ways[number % 3], CapExceeded) for number in range(times)]
    return [outcome for outcome in outcomes if outcome != "given back"]


def debit_under_a_cap(wallet_id: int, key: str, times: int, amount: int) -> list[str]:
    wallet = Wallet.objects.get(pk=wallet_id)
    return [
        outcome_of(lambda: wallet.debit(amount, attributed_to=key), "paid", CapExceeded) for _ in range(times)
    ]


def set_caps(wallet_id: int, key: str, times: int) -> list[int]:
    """Set the same cap again and again; answer which rows it was."""
    wallet = Wallet.objects.get(pk=wallet_id)
    return [wallet.set_cap(key, 100, every="P1000Y").pk for _ in range(times)]


def fulfill_beside(batch_size: int, marker: str) -> Fulfilled:
    """Award what is due once the file `marker` is there."""
    while not Path(marker).exists():
        time.sleep(0.01)
    return fulfill(batch_size)


def visit_together(user_id: int, threads: int, times: int) -> dict[str, int]:
    """Post to a charged view from several threads at once; answer how often it ran and what was answered."""
    user = get_user_model().objects.get(pk=user_id)
    statuses: list[int] = []

    def visit(number: int) -> None:
        client = Client()
        client.force_login(user)
        statuses.extend(
            client.post("/charge/counted/", headers={"accept": "application/json"}).status_code
            for _ in range(times)
        )

    errors = [outcome for outcome in run_in_threads(threads, visit) if outcome is not None]
    assert not errors, errors
    return {"ran": len(COUNTED), **{str(status): statuses.count(status) for status in set(statuses)}}


def post_together(port: int, path: str, session: str, threads: int, times: int) -> dict[str, int]:
    """Post to a server from several threads at once, each over a connection of its own; answer what came back."""
    answers: list[str] = []

    def post(number: int) -> None:
        with closing(connect(port)) as connection:
            for _ in range(times):
                answer = send(connection, "POST", path, session)
                answers.append(_told(answer.status, answer.getheader("Content-Type"), answer.read()))

    errors = [outcome for outcome in run_in_threads(threads, post) if outcome is not None]
    assert not errors, errors
    return Counter(answers)


def _told(status: int, kind: str | None, body: bytes) -> str:
    if kind != "application/problem+json":
        return str(status)
    problem = json.loads(body)
    name = problem["type"].rpartition(":")[2]
    return f"{status} {name}: {problem['required']} required, {problem['available']} available"


def record_one_message(user_id: int, prices: list[int]) -> list[str]:
    """Record one message at each price in turn; answer "recorded", or the name of any error."""
    user = get_user_model().objects.get(pk=user_id)

    def record(price: int) -> None:
        user.record_usage("img", message="msg_1", mb=price - 10)

    return [outcome_of(partial(record, price), "recorded") for price in prices]

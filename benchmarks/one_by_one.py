"""Calls on one wallet, one after another, beside the floors."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count
from typing import cast

import psycopg
from django.db import connection
from django.db.models import Sum

from benchmarks.counting import count_reads, count_statements
from benchmarks.customers.models import Customer
from benchmarks.figures import Call, Figure
from benchmarks.filling import make_wallet
from benchmarks.floors import Floor, open_floor
from benchmarks.measuring import Action, Rounds, take_turns
from usage_credits.models import Wallet

TOPIC, GROWTH = "One wallet, one call after another", "Growth with the wallet's history"
JUDGED = ("debit", "debit with a key", "spend", "credit")


def measure(address: str, *, rounds: int, history: int) -> Iterator[Figure | Call]:
    """Yield throughput against V1, growth with history, and what each call costs."""
    plain, long = open_floor(address), open_floor(address, history=history)
    young, old = (make_wallet(), make_wallet()), (make_wallet(history=history), make_wallet(history=history))
    keys = count()
    actions = _calls(young, keys)
    aged = {_after(name, history): action for name, action in _calls(old, keys).items()}
    floors: dict[str, Action] = {
        "V0": plain.debit_v0,
        "V1": plain.debit_v1,
        "V1, nothing prepared": _unprepared(address, plain).debit_v1,
        f"V1 after {history:,} rows": long.debit_v1,
    }
    others = _other_ways(young[0])
    clock, cpu = take_turns({**floors, **actions, **aged, **others}, rounds=rounds)
    yield from _throughput(clock, others)
    yield from _growth(clock, actions, aged)
    yield _growth_of_sum(history)
    statements = {"V0": 1} | dict.fromkeys(list(floors)[1:], 8)
    for name, action in {**actions, **aged, **others}.items():
        statements[name] = count_statements(action)
    # Its connection is the one of the alias, which nothing counts here.
    statements["debit, fast settings"] = statements["debit"]
    for name, found in statements.items():
        yield Call(
            name=name,
            microseconds=clock.median(name),
            cpu_microseconds=cpu.median(name),
            statements=found,
        )


def _throughput(clock: Rounds, others: dict[str, Action]) -> Iterator[Figure]:
    for name in (*JUDGED, *others):
        at_least = 0.8 if name in JUDGED else None
        ratio = clock.ratio("V1", name)
        yield Figure(
            topic=TOPIC, name=f"{name}: throughput against V1", value=ratio, unit="×", at_least=at_least
        )


def _growth(clock: Rounds, actions: dict[str, Action], aged: dict[str, Action]) -> Iterator[Figure]:
    for (name, young), (after, old) in zip(actions.items(), aged.items(), strict=True):
        ratio = clock.ratio(after, name)
        yield Figure(topic=GROWTH, name=f"{after}: time against none", value=ratio, unit="×", at_most=1.2)
        few, many = count_reads(young), count_reads(old)
        for kind, without, with_it in (
            ("rows read", few.rows, many.rows),
            ("blocks read", few.blocks, many.blocks),
        ):
            yield Figure(
                topic=GROWTH,
                name=f"{after}: {kind} against none",
                value=with_it / without,
                unit="×",
                at_most=1.2,
                is_timed=False,
                details={"none": without, "history": with_it},
            )


def _growth_of_sum(history: int) -> Figure:
    """What a ledger without stored balances would read; exits where that is not seen to grow."""
    few, many = (count_reads(partial(_sum, of)).rows for of in (make_wallet(), make_wallet(history=history)))
    if many < 10 * few:
        raise SystemExit(
            f"a sum over {history} rows read {many} rows, one over none {few}: growth is not counted"
        )
    return Figure(
        topic=GROWTH,
        name=f"for comparison, a sum over {history:,} rows: rows read against none",
        value=many / few,
        unit="×",
        is_timed=False,
    )


def _sum(wallet: Wallet) -> object:
    return wallet.transactions.aggregate(Sum("amount"))


def _after(name: str, history: int) -> str:
    return f"{name} after {history:,} rows"


def _calls(wallets: tuple[Wallet, Wallet], keys: Iterator[int]) -> dict[str, Action]:
    # Credits leave a lot each: they have a wallet of their own, so that debits find the same lots each time.
    debited, credited = wallets
    owner = cast(Customer, debited.owner)
    return {
        "debit": lambda: debited.debit(1),
        "debit with a key": lambda: debited.debit(1, idempotency_key=f"key {next(keys)}"),
        "spend": lambda: owner.spend_credits_on("mail"),
        "credit": lambda: credited.credit(1),
    }


def _other_ways(wallet: Wallet) -> dict[str, Action]:
    fast = Wallet.objects.using("fast").get(pk=wallet.pk)

    def debit_on_new_connection() -> None:
        connection.close()
        wallet.debit(1)

    return {
        "debit, fast settings": lambda: fast.debit(1),
        "debit, a new connection each": debit_on_new_connection,
    }


def _unprepared(address: str, floor: Floor) -> Floor:
    return Floor(psycopg.connect(address, autocommit=True, prepare_threshold=None), floor.wallet)

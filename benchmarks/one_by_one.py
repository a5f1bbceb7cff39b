"""Calls on one wallet, one after another, beside the floors."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count
from typing import cast

from django.db import connection
from django.db.models import Sum

from benchmarks.counting import count_reads, count_statements
from benchmarks.customers.models import Customer
from benchmarks.figures import Call, Figure
from benchmarks.filling import make_wallet
from benchmarks.floors import make_balance, open_floor
from benchmarks.measuring import Action, Rounds, take_turns
from usage_credits.models import Wallet

TOPIC, GROWTH = "One wallet, one call after another", "Growth with the wallet's history"
CALLS = ("debit", "debit with a key", "spend", "credit")
JUDGED = ("debit", "spend", "credit")
"""What the budget is for."""
NEW_CONNECTION = "debit, a new connection each"


def measure(address: str, *, rounds: int, history: int) -> Iterator[Figure | Call]:
    """Yield throughput against V1, growth with history, and what each call costs."""
    plain, aged = make_wallet().pk, make_wallet(history=history).pk
    make_balance(address, plain)
    young, old = (make_wallet(), make_wallet()), (make_wallet(history=history), make_wallet(history=history))
    keys = count()
    actions = _calls(young, keys)
    later = {_after(name, history): action for name, action in _calls(old, keys).items()}
    floors: dict[str, Action] = {
        "V0": open_floor(address, plain).debit_v0,
        "V1": open_floor(address, plain).debit_v1,
        "V1, prepared": open_floor(address, plain, prepared=True).debit_v1,
        f"V1 after {history:,} rows": open_floor(address, aged).debit_v1,
    }
    others: dict[str, Action] = {
        **_fast_calls(young, keys),
        NEW_CONNECTION: partial(_debit_on_new_connection, young[0]),
    }
    clock, cpu = take_turns({**floors, **actions, **later, **others}, rounds=rounds)
    yield from _throughput(clock)
    yield from _growth(clock, actions, later)
    yield _growth_of_sum(history)
    statements = {"V0": 1} | dict.fromkeys(list(floors)[1:], 8)
    for name, action in {**actions, **later, **others}.items():
        statements[name] = count_statements(action)
    # Their connection is the one of the alias, which nothing counts here.
    statements |= {_fast(name): statements[name] for name in CALLS}
    for name, found in statements.items():
        yield Call(
            name=name,
            microseconds=clock.median(name),
            cpu_microseconds=cpu.median(name),
            statements=found,
        )


def _throughput(clock: Rounds) -> Iterator[Figure]:
    compared: list[tuple[str, str, float | None]] = [
        (_fast(name), "V1", 0.8 if name in JUDGED else None) for name in CALLS
    ]
    compared += [(name, "V1", None) for name in CALLS]
    compared += [(_fast(name), "V1, prepared", None) for name in CALLS]
    compared += [(NEW_CONNECTION, "V1", None)]
    for name, floor, at_least in compared:
        yield Figure(
            topic=TOPIC,
            name=f"{name}: throughput against {floor}",
            value=clock.ratio(floor, name),
            unit="×",
            at_least=at_least,
        )


def _growth(clock: Rounds, actions: dict[str, Action], later: dict[str, Action]) -> Iterator[Figure]:
    for (name, young), (after, old) in zip(actions.items(), later.items(), strict=True):
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


def _fast(name: str) -> str:
    return f"{name}, fast settings"


def _fast_calls(wallets: tuple[Wallet, Wallet], keys: Iterator[int]) -> dict[str, Action]:
    owner = Customer.objects.using("fast").get(pk=wallets[0].owner_id)
    debited, credited = (Wallet.objects.using("fast").get(pk=wallet.pk) for wallet in wallets)
    debited.owner = owner
    return {_fast(name): action for name, action in _calls((debited, credited), keys).items()}


def _debit_on_new_connection(wallet: Wallet) -> None:
    connection.close()
    wallet.debit(1)

"""Debits, spends and credits of one wallet, one after another, beside the floors."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import cast

from benchmarks.customers.models import Customer
from benchmarks.figures import Figure
from benchmarks.filling import make_wallet
from benchmarks.floors import open_floor
from benchmarks.measuring import Call, count_statements, take_turns
from usage_credits.models import Wallet


def measure(address: str, *, rounds: int, history: int) -> Iterator[Figure]:
    """Yield throughput against V1, growth with history, and statements."""
    plain, long = open_floor(address), open_floor(address, history=history)
    young, old = (make_wallet(), make_wallet()), (make_wallet(history=history), make_wallet(history=history))
    keys = count()
    calls: dict[str, Call] = {
        "V0": plain.debit_v0,
        "V1": plain.debit_v1,
        f"V1, {history} rows": long.debit_v1,
        **_calls(young, keys),
        **{f"{name}, {history} rows": call for name, call in _calls(old, keys).items()},
    }
    times = take_turns(calls, rounds=rounds)
    for name in ("debit", "debit with a key", "spend", "credit"):
        yield Figure(
            f"{name}: throughput against V1", times["V1"] / times[name], "×", at_least=0.8, details=times
        )
        yield Figure(
            f"{name}: time after {history} rows against none",
            times[f"{name}, {history} rows"] / times[name],
            "×",
            at_most=1.2,
        )
    for name, most in {"debit": 8, "debit with a key": 9, "spend": 9}.items():
        for wallet, call in ((young, _calls(young, keys)[name]), (old, _calls(old, keys)[name])):
            after = f"after {history} rows" if wallet is old else "without history"
            yield Figure(
                f"{name}: statements {after}", count_statements(call), "", at_most=most, is_timed=False
            )
    owner = cast(Customer, young[0].owner)
    yield Figure(
        "owner.credits: statements", count_statements(lambda: owner.credits), "", at_most=1, is_timed=False
    )


def _calls(wallets: tuple[Wallet, Wallet], keys: Iterator[int]) -> dict[str, Call]:
    # Credits leave a lot each: they have a wallet of their own, so that debits find the same lots each time.
    debited, credited = wallets
    owner = cast(Customer, debited.owner)
    return {
        "debit": lambda: debited.debit(1),
        "debit with a key": lambda: debited.debit(1, idempotency_key=f"key {next(keys)}"),
        "spend": lambda: owner.spend_credits_on("mail"),
        "credit": lambda: credited.credit(1),
    }

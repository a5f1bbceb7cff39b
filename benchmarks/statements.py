"""How many statements calls send, whatever they find."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import cast

from benchmarks.counting import count_statements
from benchmarks.customers.models import Customer
from benchmarks.figures import Figure
from benchmarks.filling import add_lots, make_wallet, make_wallets
from usage_credits.models import Wallet

TOPIC = "Statements, with BEGIN and COMMIT"
LOTS = 500


def measure(*, history: int) -> Iterator[Figure]:
    """Yield the most statements that a debit sends, over all that its wallet can hold, and those of reading."""
    wallet = make_wallet()
    owner = cast(Customer, wallet.owner)
    yield _at_most("reading owner.credits: statements", 1, count_statements(lambda: owner.credits))
    keys = count()
    debits: dict[str, Callable[[Wallet, int], object]] = {
        "debit": lambda wallet, amount: wallet.debit(amount),
        "debit with a key": lambda wallet, amount: wallet.debit(amount, idempotency_key=f"n {next(keys)}"),
    }
    for (name, debit), most in zip(debits.items(), (8, 9), strict=True):
        found = {
            place: count_statements(partial(debit, of, amount)) for place, of, amount in _wallets(history)
        }
        yield _at_most(f"{name}: statements in the worst case", most, max(found.values()))
        for place, statements in found.items():
            yield Figure(topic=TOPIC, name=f"{name}: statements {place}", value=statements, is_timed=False)
        spread = max(found.values()) / min(found.values())
        yield Figure(
            topic=TOPIC,
            name=f"{name}: statements, worst case against best",
            value=spread,
            unit="×",
            at_most=1,
            is_timed=False,
        )


def _wallets(history: int) -> Iterator[tuple[str, Wallet, int]]:
    yield "without history", make_wallet(), 1
    yield f"after {history:,} rows", make_wallet(history=history), 1
    yield f"taking all of {LOTS} lots", _wallet_of_lots(0), LOTS * 10
    yield f"finding {LOTS} lots expired", _wallet_of_lots(LOTS), 1


def _wallet_of_lots(expired: int) -> Wallet:
    first, last = make_wallets(1)
    if expired:
        add_lots(first, last, expired, expired=True)
    add_lots(first, last, LOTS)
    return Wallet.objects.get(pk=first)


def _at_most(name: str, most: int, found: int) -> Figure:
    return Figure(topic=TOPIC, name=name, value=found, at_most=most, is_timed=False)

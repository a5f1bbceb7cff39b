"""What a process with stapel-billing can do: `python -m benchmarks.peer.worker`, in its own environment."""

from __future__ import annotations

import importlib.metadata
import os
import time
from typing import Any

import django

django.setup()

from django.contrib.auth import get_user_model  # noqa: E402 - these need the apps
from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from stapel_billing import credit, debit  # noqa: E402
from stapel_billing.models import LotSource, Transaction, TransactionType, Wallet  # noqa: E402

from benchmarks.serving import Target, serve  # noqa: E402


def _make_user(wanted: dict[str, int]) -> str:
    """Make a user with `lots` of `amount` each, after `history` rows; return its key."""
    name = f"user{time.perf_counter_ns()}"
    user = get_user_model().objects.create_user(username=name, email=f"{name}@example.com", password=None)
    for _ in range(wanted["lots"]):
        credit(
            user=user,
            credits=wanted["amount"],
            type=TransactionType.CREDIT_PURCHASE,
            source=LotSource.PURCHASE,
        )
    wallet = Wallet.objects.get(user=user)
    Transaction.objects.bulk_create(
        (
            Transaction(
                wallet=wallet,
                type=TransactionType.AI_CHARGE,
                credits_delta=-1,
                balance_after=wallet.balance,
                metadata={"idempotency_key": f"past {number}", "lots": []},
                idempotency_key=f"past {number}",
            )
            for number in range(wanted["history"])
        ),
        batch_size=1_000,
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return str(user.pk)


def _debit(pk: str, *, with_key: bool = False) -> Target:
    user = get_user_model().objects.get(pk=pk)

    def once() -> int:
        key = f"{os.getpid()}:{time.perf_counter_ns()}" if with_key else None
        debit(user=user, credits=1, type=TransactionType.AI_CHARGE, idempotency_key=key)
        return 1

    return once


def _statements(asked: list[Any]) -> int:
    pk, amount = asked
    user = get_user_model().objects.get(pk=pk)
    with CaptureQueriesContext(connection) as captured:
        debit(user=user, credits=amount, type=TransactionType.AI_CHARGE)
    return len(captured)


if __name__ == "__main__":
    serve(
        {"debit": _debit, "debit with a key": lambda pk: _debit(pk, with_key=True)},
        {
            "migrate": lambda _: call_command("migrate", run_syncdb=True, verbosity=0),
            "make user": _make_user,
            "statements": _statements,
            "version": lambda _: importlib.metadata.version("stapel-billing"),
        },
    )

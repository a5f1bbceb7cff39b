"""What the processes of the concurrency tests do. Results are plain values that travel between processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction

from tests.app.models import Newcomer
from usage_credits import InsufficientCredits
from usage_credits.billing.fulfillment import Fulfilled, fulfill_due
from usage_credits.models import Wallet


def debit_repeatedly(wallet_id: int, times: int, amount: int) -> list[str]:
    """Debit `times` times; answer "paid" or "refused" for each, or the name of any other error."""
    wallet = Wallet.objects.get(pk=wallet_id)
    outcomes = []
    for _ in range(times):
        try:
            wallet.debit(amount)
            outcomes.append("paid")
        except InsufficientCredits:
            outcomes.append("refused")
        except Exception as error:
            outcomes.append(f"{type(error).__name__}: {error}")
    return outcomes


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


def spend_repeatedly(user_id: int, times: int) -> list[str]:
    user = get_user_model().objects.get(pk=user_id)
    outcomes = []
    for _ in range(times):
        try:
            user.spend_credits_on("report")
            outcomes.append("paid")
        except InsufficientCredits:
            outcomes.append("refused")
    return outcomes


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
        if sql.startswith("INSERT") and "usage_credits_lot" in sql:
            Path(marker).touch()
            time.sleep(0.5)
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    with connection.execute_wrapper(die):
        sum(awarding, Fulfilled())


def fulfill_beside(batch_size: int, marker: str) -> Fulfilled:
    """Award what is due once the file `marker` is there."""
    while not Path(marker).exists():
        time.sleep(0.01)
    return fulfill(batch_size)

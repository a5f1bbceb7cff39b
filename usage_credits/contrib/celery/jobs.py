"""The jobs as Celery tasks, under names of their own: `usage_credits.expire_credits` and so on.

Each may run twice and at once. A message is acknowledged once its work is done, so that what a killed worker leaves
goes to another one, which goes on after the last batch that was committed.
"""

from __future__ import annotations

from typing import Any, Final

from celery import shared_task

from usage_credits.contrib import jobs
from usage_credits.signals import EventContext

_AFTER_THE_WORK: Final[dict[str, Any]] = {"acks_late": True, "reject_on_worker_lost": True}


@shared_task(name="usage_credits.fulfill_credits", **_AFTER_THE_WORK)
def fulfill_credits(
    *,
    wallets: list[int] | None = None,
    shards: int = 1,
    batch_size: int = 1_000,
    database: str | None = None,
) -> dict[str, int]:
    """Award every due fulfillment of the wallets from `wallets[0]` to `wallets[1]`, or of all.

    `shards` above 1 sends one task for each of so many ranges of their primary keys instead. Returns what was
    awarded, or {"ranges": …}. Raises JobFailed where a fulfillment stays due; the others are awarded.
    """
    return jobs.run(
        jobs.fulfill,
        fulfill_credits.delay,
        wallets=wallets,
        shards=shards,
        batch_size=batch_size,
        database=database,
    )


@shared_task(name="usage_credits.expire_credits", **_AFTER_THE_WORK)
def expire_credits(
    *,
    wallets: list[int] | None = None,
    shards: int = 1,
    batch_size: int = 1_000,
    database: str | None = None,
) -> dict[str, int]:
    """Book the expired lots and release the overdue holds of the wallets from `wallets[0]` to `wallets[1]`, or of all.

    `shards` above 1 sends one task for each of so many ranges of their primary keys instead. Returns what was
    booked, or {"ranges": …}.
    """
    return jobs.run(
        jobs.expire,
        expire_credits.delay,
        wallets=wallets,
        shards=shards,
        batch_size=batch_size,
        database=database,
    )


@shared_task(name="usage_credits.recharge_credits", **_AFTER_THE_WORK)
def recharge_credits(
    *,
    wallets: list[int] | None = None,
    shards: int = 1,
    batch_size: int = 1_000,
    database: str | None = None,
) -> dict[str, int]:
    """Ask about the recharges in flight and recharge what is due, of wallets `wallets[0]` to `wallets[1]`, or of all.

    `shards` above 1 sends one task for each of so many ranges of their primary keys instead. Returns what came of
    it, or {"ranges": …}. Raises JobFailed where Stripe left some without an answer; they are asked about again.
    """
    return jobs.run(
        jobs.recharge,
        recharge_credits.delay,
        wallets=wallets,
        shards=shards,
        batch_size=batch_size,
        database=database,
    )


def recharge_when_due(context: EventContext, **kwargs: Any) -> None:
    """Send `recharge_credits` for the wallet of an event if a recharge of it is due; name it in CALLBACKS."""
    jobs.recharge_soon(recharge_credits.delay, context.wallet)


@shared_task(name="usage_credits.verify_credits", **_AFTER_THE_WORK)
def verify_credits(
    *, wallets: list[int] | None = None, shards: int = 1, database: str | None = None
) -> dict[str, int]:
    """Check every invariant of the wallets from `wallets[0]` to `wallets[1]`, or of all.

    `shards` above 1 sends one task for each of so many ranges of their primary keys instead. Returns {"findings": 0},
    or {"ranges": …}. Raises JobFailed where a row breaks an invariant; each is logged.
    """
    return jobs.run(jobs.prove, verify_credits.delay, wallets=wallets, shards=shards, database=database)

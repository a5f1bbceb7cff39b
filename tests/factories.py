"""Owners, wallets and histories for the tests; what they return is stored."""

from __future__ import annotations

import datetime
from typing import Any

from django.apps import apps
from django.db import connection
from django.test import override_settings
from django.utils import timezone
from factory.declarations import Sequence
from factory.django import DjangoModelFactory

from tests.app.models import Newcomer, Studio, Team, User
from tests.settings import USAGE_CREDITS
from usage_credits.models import Lot, Transaction, Wallet
from usage_credits.signals import EventContext

NUMBERED = Sequence("owner {}".format)  # type: ignore[no-untyped-call]


class UserFactory(DjangoModelFactory[User]):
    class Meta:
        model = User

    username = NUMBERED


class TeamFactory(DjangoModelFactory[Team]):
    class Meta:
        model = Team

    name = NUMBERED


class StudioFactory(DjangoModelFactory[Studio]):
    class Meta:
        model = Studio

    name = NUMBERED


class NewcomerFactory(DjangoModelFactory[Newcomer]):
    class Meta:
        model = Newcomer

    name = NUMBERED


def make_user(credits: int = 0) -> User:
    """Return a user whose wallet holds `credits` that never expire."""
    user = UserFactory.create()
    if credits:
        user.give_credits(credits)
    return user


def make_wallet(credits: int = 0) -> Wallet:
    """Return a user's wallet that holds `credits` that never expire."""
    return make_user(credits).wallet()


def configured(**keys: Any) -> override_settings:
    """Return a context in which USAGE_CREDITS has these keys besides those of the test settings."""
    return override_settings(USAGE_CREDITS={**USAGE_CREDITS, **keys})


def days(number: float) -> datetime.timedelta:
    return datetime.timedelta(days=number)


def amounts_of(wallet: Wallet) -> list[int]:
    return list(wallet.history().values_list("amount", flat=True))


def snapshots_of(wallet: Wallet) -> list[tuple[int, int]]:
    return list(wallet.history().values_list("balance_before", "balance_after"))


def remaining_of(wallet: Wallet) -> list[int]:
    """Return what is left of each lot, in the order of insertion."""
    return list(wallet.lots.order_by("pk").values_list("remaining", flat=True))


def payments_of(debit: Transaction) -> list[tuple[int, int]]:
    """Return (lot, amount) of each allocation of the debit, in the order of insertion."""
    return list(debit.allocations.order_by("pk").values_list("lot", "amount"))


def lot_of(credit: Transaction) -> Lot:
    return Lot.objects.get(transaction=credit)


def stored() -> dict[str, list[Any]]:
    """Return every row of every table of the app: two equal answers mean that nothing was written between them."""
    return {
        model._meta.label: list(model._default_manager.order_by("pk").values())
        for model in apps.get_app_config("usage_credits").get_models()
    }


def add_lots(
    wallet: Wallet, number: int, *, amount: int = 1, expires_in: datetime.timedelta | None = None
) -> None:
    """Give the wallet `number` open lots, as so many credits would have left them, in one insert a table."""
    wallet.refresh_from_db()
    now, before = timezone.now(), wallet.booked_balance
    expires_at = now + expires_in if expires_in else None
    rows = Transaction.objects.bulk_create(
        Transaction(
            wallet=wallet,
            amount=amount,
            category="credit_added",
            balance_before=before + amount * index,
            balance_after=before + amount * (index + 1),
            expires_at=expires_at,
            created_at=now,
        )
        for index in range(number)
    )
    Lot.objects.bulk_create(
        Lot(wallet=wallet, transaction=row, amount=amount, remaining=amount, expires_at=expires_at)
        for row in rows
    )
    Wallet.objects.filter(pk=wallet.pk).update(booked_balance=before + amount * number)


def add_history(wallet: Wallet, rows: int) -> None:
    """Give an empty wallet `rows` transactions: pairs of a credit of 1 and the debit that used it up.

    Written by the database itself, so that a hundred thousand rows take seconds.
    """
    numbers = (
        "WITH digits(d) AS (SELECT 0 UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 "
        "UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9), "
        "numbers(n) AS (SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d + 100000 * g.d "
        "FROM digits a, digits b, digits c, digits e, digits f, digits g) "
    )
    columns = "wallet_id, amount, category, balance_before, balance_after, overdraft, metadata, created_at"
    values = (
        "SELECT %s, 1 - 2 * (n %% 2), CASE WHEN n %% 2 = 0 THEN 'credit_added' ELSE 'credit_deducted' END, "
        "n %% 2, 1 - n %% 2, 0, '{}', %s FROM numbers WHERE n < %s ORDER BY n"
    )
    lot_values = (
        "SELECT wallet_id, id, amount, 0, %s, 0 FROM usage_credits_transaction "
        "WHERE wallet_id = %s AND amount > 0 ORDER BY id"
    )
    pairs = (
        "SELECT debit.wallet_id, debit.id, lot.id, 1 FROM (SELECT wallet_id, id, amount, LAG(id) OVER (ORDER BY id) "
        "AS credit FROM usage_credits_transaction WHERE wallet_id = %s) debit "
        "JOIN usage_credits_lot lot ON lot.transaction_id = debit.credit WHERE debit.amount < 0"
    )
    into_rows = f"INSERT INTO usage_credits_transaction ({columns}) "
    if connection.vendor == "postgresql":
        values = values.replace("'{}'", "'{}'::jsonb")
    statement = into_rows + numbers + values if connection.vendor == "mysql" else numbers + into_rows + values
    moment = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(statement, [wallet.pk, moment, rows])
        cursor.execute(
            "INSERT INTO usage_credits_lot (wallet_id, transaction_id, amount, remaining, is_open, priority) "
            + lot_values,
            [False, wallet.pk],
        )
        cursor.execute(
            f"INSERT INTO usage_credits_allocation (wallet_id, debit_id, lot_id, amount) {pairs}", [wallet.pk]
        )


def names(events: list[EventContext]) -> list[str]:
    return [context.event for context in events]

"""Arguments that several commands share, and how a refused one is reported."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.db import connections, router

from usage_credits.ledger.wallet_ranges import LAST_KEY, WalletRange, check_wallets
from usage_credits.models import Wallet
from usage_credits.values import MAX_BATCH


def add_database(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--database", metavar="ALIAS", help="database of the wallets; by default what the routers say"
    )


def add_wallets(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--wallets",
        metavar="IDS",
        help="only these wallets: one id, FIRST-LAST (both included), or FIRST- (to the end)",
    )


def add_batch_size(parser: ArgumentParser, rows: str) -> None:
    parser.add_argument(
        "--batch-size",
        type=int,
        default=1_000,
        metavar="N",
        help=f"how many {rows} are locked and committed together (default: 1000)",
    )


def database(options: dict[str, Any]) -> str:
    """Return the alias that --database names, or where wallets are written; raises CommandError."""
    alias: str = options["database"] or router.db_for_write(Wallet)
    if alias not in connections:
        raise CommandError(f"--database: got {alias!r}, allowed is one of {', '.join(connections)}.")
    return alias


def batch_size(options: dict[str, Any]) -> int:
    """Return --batch-size; raises CommandError."""
    size: int = options["batch_size"]
    if not 1 <= size <= MAX_BATCH:
        raise CommandError(f"--batch-size: got {size}, allowed is a whole number from 1 to {MAX_BATCH}.")
    return size


def wallets(options: dict[str, Any]) -> WalletRange | None:
    """Return the range that --wallets names, None for all; raises CommandError."""
    text: str | None = options["wallets"]
    if text is None:
        return None
    first, dash, last = text.partition("-")
    try:
        return check_wallets([int(first), int(last or (LAST_KEY if dash else first))])
    except ValueError as error:
        allowed = "an id, FIRST-LAST or FIRST-, such as 7, 1-5000 or 5001-"
        raise CommandError(f"--wallets: got {text!r}, allowed is {allowed}.") from error


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun: "1 lot", "2 lots"."""
    return f"{number} {one if number == 1 else many or one + 's'}"

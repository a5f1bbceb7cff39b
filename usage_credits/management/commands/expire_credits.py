"""Book what has expired."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from usage_credits.ledger.expiry import Expired, book_expired, count_expired
from usage_credits.management import arguments
from usage_credits.management.arguments import counted
from usage_credits.management.collecting import collected_between
from usage_credits.management.progress import Progress


class Command(BaseCommand):
    """Post an expiration row for every expired lot and release overdue holds; run it as often as you like."""

    help = (
        "Book expired lots in the ledger and announce credits_expired for each, once. Balances as they are read do "
        "not change: expired lots had stopped counting before. Releases the holds whose time is over."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be booked")
        arguments.add_wallets(parser)
        arguments.add_batch_size(parser, "wallets")
        arguments.add_database(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        using = arguments.database(options)
        batch_size = arguments.batch_size(options)
        wallets = arguments.wallets(options)
        waiting = count_expired(using, wallets=wallets)
        if options["dry_run"]:
            self.stdout.write(f"Would expire {_figures(waiting)}.{_released(waiting)}")
            return
        done = Expired()
        with Progress(self.stderr, waiting.lots, options["verbosity"]) as progress:
            batches = book_expired(batch_size=batch_size, wallets=wallets, using=using)
            for batch in collected_between(batches):
                done += batch
                progress.advance(batch.lots)
        self.stdout.write(self.style.SUCCESS(f"Expired {_figures(done)}.{_released(done)}"))


def _figures(expired: Expired) -> str:
    lots, wallets = counted(expired.lots, "lot"), counted(expired.wallets, "wallet")
    return f"{lots} of {wallets}: {counted(expired.credits, 'credit')}"


def _released(expired: Expired) -> str:
    return f" Holds whose time was over: {expired.holds}." if expired.holds else ""

"""Award what is due."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from usage_credits.billing.fulfillment import Fulfilled, count_due, fulfill_due, preview_due
from usage_credits.management import arguments
from usage_credits.management.arguments import counted
from usage_credits.management.collecting import collected_between
from usage_credits.management.progress import Progress


class Command(BaseCommand):
    """Award every due fulfillment; run it every few minutes, several at once if need be."""

    help = (
        "Award the credits of every fulfillment whose next date has come: each date once, however late. What cannot "
        "be awarded stays due, keeps the reason as its last error and makes the exit code 1; the others are awarded."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be awarded")
        parser.add_argument(
            "--limit", type=int, metavar="N", help="try at most this many fulfillments, the longest due first"
        )
        arguments.add_wallets(parser)
        arguments.add_batch_size(parser, "fulfillments")
        arguments.add_database(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        using = arguments.database(options)
        batch_size = arguments.batch_size(options)
        wallets = arguments.wallets(options)
        limit: int | None = options["limit"]
        if limit is not None and limit < 1:
            raise CommandError(f"--limit: got {limit}, allowed is 1 or more.")
        if options["dry_run"]:
            preview = preview_due(limit=limit, wallets=wallets, using=using)
            self.stdout.write(f"Would make {_figures(preview)}.")
            return
        waiting = count_due(wallets=wallets, using=using)
        done = Fulfilled()
        with Progress(self.stderr, min(waiting, limit or waiting), options["verbosity"]) as progress:
            batches = fulfill_due(batch_size=batch_size, limit=limit, wallets=wallets, using=using)
            for batch in collected_between(batches):
                done += batch
                progress.advance(batch.tried)
        summary = f"Made {_figures(done)}."
        if done.failed:
            raise CommandError(summary)
        self.stdout.write(self.style.SUCCESS(summary))


def _figures(done: Fulfilled) -> str:
    awards, credits = counted(done.awarded, "award"), counted(done.credits, "credit")
    return f"{awards} of {credits}, {counted(done.failed, 'fulfillment')} failed"

"""Recharge wallets that run low."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError

from usage_credits.billing.recharge import Recharged, count_due, recharge_due
from usage_credits.management import arguments
from usage_credits.management.arguments import counted
from usage_credits.management.progress import Progress


class Command(BaseCommand):
    """Charge the owners of wallets whose balance is below their threshold; run it every few minutes."""

    help = (
        "Ask Stripe about the recharges that are in flight, then charge the owner of every wallet that is due, one "
        "charge at a time for each wallet and within its caps. The credits come with Stripe's webhook. A card that is "
        "declined is no error; where Stripe leaves a charge without an answer, the exit code is 1 and the next run "
        "asks again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say how many are due, caps apart")
        arguments.add_wallets(parser)
        arguments.add_batch_size(parser, "wallets")
        arguments.add_database(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        using = arguments.database(options)
        batch_size = arguments.batch_size(options)
        wallets = arguments.wallets(options)
        if not apps.is_installed("djstripe"):
            raise CommandError('This needs "djstripe" in INSTALLED_APPS.')
        waiting = count_due(wallets=wallets, using=using)
        if options["dry_run"]:
            self.stdout.write(f"Would try {counted(waiting, 'recharge')}.")
            return
        done = Recharged()
        with Progress(self.stderr, waiting, options["verbosity"]) as progress:
            for batch in recharge_due(batch_size=batch_size, wallets=wallets, using=using):
                done += batch
                progress.advance(batch.tried)
        summary = (
            f"Charged {counted(done.paid, 'recharge')}, {done.failed} failed, {done.processing} on their way, "
            f"{done.unanswered} without an answer."
        )
        if done.unanswered:
            raise CommandError(summary)
        self.stdout.write(self.style.SUCCESS(summary))

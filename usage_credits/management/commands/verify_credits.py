"""Prove the ledger."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from usage_credits.ledger.verification import verify
from usage_credits.ledger.wallet_ranges import of_wallets
from usage_credits.management import arguments
from usage_credits.management.arguments import counted
from usage_credits.models import Transaction, Wallet


class UnsoundLedger(CommandError):
    """Some rows break an invariant."""


class Command(BaseCommand):
    """Check every invariant; exit code 1 when a row breaks one."""

    help = "Check that balances, lots, allocations and debts agree. Reads only, locks nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        arguments.add_wallets(parser)
        parser.add_argument(
            "--limit", type=int, default=100, metavar="N", help="how many findings to print (default: 100)"
        )
        arguments.add_database(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        using = arguments.database(options)
        which = arguments.wallets(options)
        limit: int = options["limit"]
        if limit < 0:
            raise CommandError(f"--limit: got {limit}, allowed is 0 or more.")
        wallets = Wallet.objects.using(using).filter(of_wallets(which, "pk"))
        rows = Transaction.objects.using(using).filter(of_wallets(which))
        # A range is asked about as a share of all wallets, and may hold none; one wallet is asked about by name.
        if which is not None and which.first == which.last and not wallets.exists():
            raise CommandError(f"--wallets: there is no wallet {which.first}.")
        found = 0
        for finding in verify(wallets=which, using=using):
            found += 1
            if found <= limit:
                self.stderr.write(str(finding))
        checked = f"{counted(wallets.count(), 'wallet')}, {counted(rows.count(), 'transaction')}"
        if found:
            shown = f", {limit} shown" if found > limit else ""
            raise UnsoundLedger(f"{checked}: {counted(found, 'finding')}{shown}.")
        self.stdout.write(self.style.SUCCESS(f"{checked}: sound."))

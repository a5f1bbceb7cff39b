"""Turn payments into credits that could not be when they were announced."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError


class Command(BaseCommand):
    """Try the open payment notices again; fails while one of those tried stays open."""

    help = "Try again to turn payments into credits that are kept as open payment notices."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only list what would be tried")
        parser.add_argument("--limit", type=int, help="try at most this many, the oldest first")
        parser.add_argument("--customer", help="try only the payments of this Stripe customer (cus_…)")
        parser.add_argument(
            "--accept-changed",
            action="store_true",
            help="award packs as they are defined today where they differ from what was sold",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not apps.is_installed("djstripe"):
            raise CommandError('This needs "djstripe" in INSTALLED_APPS.')
        limit: int | None = options["limit"]
        if limit is not None and limit < 1:
            raise CommandError(f"--limit is {limit}, allowed is 1 or more.")
        # dj-stripe's models can be imported only where it is installed.
        from usage_credits.billing.stripe_retries import open_notices, retry_notices

        if options["dry_run"]:
            notices = list(open_notices(limit=limit, customer=options["customer"]))
            for notice in notices:
                self.stdout.write(f"would try {notice} ({notice.detail})")
            self.stdout.write(f"{len(notices)} to try")
            return
        tried = failed = 0
        for retry in retry_notices(
            limit=limit, customer=options["customer"], accept_changed=options["accept_changed"]
        ):
            tried += 1
            if retry.is_resolved:
                self.stdout.write(f"resolved {retry.notice.source_id}")
            else:
                failed += 1
                self.stderr.write(f"failed {retry.notice} ({retry.error or retry.notice.detail})")
        self.stdout.write(f"{tried - failed} resolved, {failed} still open")
        if failed:
            raise CommandError(f"{failed} of {tried} payments still have no credits.")

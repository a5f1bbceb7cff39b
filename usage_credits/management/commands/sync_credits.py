"""Turn payments into credits that could not be when they were announced, or were never announced to us."""

from __future__ import annotations

import datetime
from argparse import ArgumentParser
from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_date

from usage_credits.billing.sync_results import Synced
from usage_credits.management.progress import Progress

DAYS = 30
"""How long Stripe keeps events: what is older cannot be delivered again either."""


class Command(BaseCommand):
    """Try the open payment notices again, and settle what Stripe has; fails while something stays open."""

    help = (
        "Try again to turn payments into credits that are kept as open payment notices. With --customer or --all, "
        "also settle the subscriptions, payments, refunds and disputes that Stripe has, as its webhooks would have."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
        parser.add_argument("--limit", type=int, help="try at most this many notices, the oldest first")
        whose = parser.add_mutually_exclusive_group()
        whose.add_argument("--customer", metavar="CUS", help="settle all of this Stripe customer (cus_…)")
        whose.add_argument("--all", action="store_true", help="settle all of every customer")
        parser.add_argument(
            "--since",
            metavar="DAYS",
            help=f"with --customer or --all: so many days back, or an ISO date (default: {DAYS})",
        )
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
        walks = bool(options["all"] or options["customer"])
        if options["since"] is not None and not walks:
            raise CommandError("--since needs --customer or --all.")
        since = _since(options["since"])
        failures: list[str] = []
        tried: set[str] = set()
        if options["dry_run"]:
            self._list_notices(options)
        else:
            failures, tried = self._retry_notices(options)
        if walks:
            failures += self._sync(options, since, tried)
        if failures:
            raise CommandError(" ".join(failures))

    def _list_notices(self, options: dict[str, Any]) -> None:
        # dj-stripe's models can be imported only where it is installed.
        from usage_credits.billing.stripe_retries import open_notices

        notices = list(open_notices(limit=options["limit"], customer=options["customer"]))
        for notice in notices:
            self.stdout.write(f"would try {notice} ({notice.detail})")
        self.stdout.write(f"{len(notices)} to try")

    def _retry_notices(self, options: dict[str, Any]) -> tuple[list[str], set[str]]:
        """Return what failed, as a sentence, and the source ids of all that was tried."""
        from usage_credits.billing.stripe_retries import retry_notices

        tried: set[str] = set()
        failed = 0
        for retry in retry_notices(
            limit=options["limit"],
            customer=options["customer"],
            accept_changed=options["accept_changed"],
        ):
            tried.add(retry.notice.source_id)
            if retry.is_resolved:
                self.stdout.write(f"resolved {retry.notice.source_id}")
            else:
                failed += 1
                self.stderr.write(f"failed {retry.notice} ({retry.error or retry.notice.detail})")
        self.stdout.write(f"{len(tried) - failed} resolved, {failed} still open")
        return ([f"{failed} of {len(tried)} payments still have no credits."] if failed else []), tried

    def _sync(self, options: dict[str, Any], since: datetime.datetime, tried: set[str]) -> list[str]:
        """Settle what Stripe has but for what was tried, and return what failed, as a sentence."""
        from usage_credits.billing.stripe_sync import sync

        total, found, changed, failed = Synced(""), 0, 0, 0
        with Progress(self.stderr, None, options["verbosity"]) as progress:
            for synced in sync(
                since=since,
                customer=options["customer"],
                dry_run=options["dry_run"],
                accept_changed=options["accept_changed"],
                skip=tried,
            ):
                found += 1
                progress.advance()
                if synced.is_changed or synced.problem:
                    progress.clear()
                if synced.is_changed:
                    changed += 1
                    total += synced
                    self.stdout.write(f"{_deeds(synced, is_dry=options['dry_run'])} ({synced.key})")
                if synced.problem:
                    failed += 1
                    self.stderr.write(f"failed {synced.key}: {synced.problem}")
        deeds = _deeds(total, is_dry=options["dry_run"]) or "no credits"
        self.stdout.write(f"{found} looked at, {changed} out of date: {deeds}")
        return [f"{failed} of {found} could not be settled."] if failed else []


def _since(text: str | None) -> datetime.datetime:
    if text is None or text.isdecimal():
        days = DAYS if text is None else int(text)
        try:
            return timezone.now() - datetime.timedelta(days=days)
        except OverflowError:
            raise CommandError(f"--since: got {text!r}, that is before time began.") from None
    try:
        date = parse_date(text)
    except ValueError:
        date = None
    if date is None:
        raise CommandError(f"--since: got {text!r}, allowed is a number of days or an ISO 8601 date.")
    return datetime.datetime(date.year, date.month, date.day, tzinfo=datetime.UTC)


def _deeds(synced: Synced, *, is_dry: bool) -> str:
    """Return what was done, or would be: "awarded 500, took back 250"."""
    verbs = [
        ("award", "awarded", synced.awarded),
        ("take back", "took back", synced.taken_back),
        ("give back", "gave back", synced.given_back),
        ("claim", "claimed", synced.claimed),
        ("change", "changed", ", ".join(synced.changes)),
    ]
    parts = [f"{would if is_dry else did} {what}" for would, did, what in verbs if what]
    return f"would {', '.join(parts)}" if is_dry and parts else ", ".join(parts)

"""Grant credits to many owners."""

from __future__ import annotations

import datetime
import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import models, router
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from usage_credits import conf
from usage_credits.dsl.categories import category_of_grant
from usage_credits.dsl.wallet_options import clean_asset
from usage_credits.exceptions import InvalidValue
from usage_credits.ledger.credits import credit_entry
from usage_credits.ledger.entries import CreditEntry
from usage_credits.ledger.grants import grant_all
from usage_credits.ledger.wallets import asset_of
from usage_credits.management import arguments, selection
from usage_credits.management.arguments import counted
from usage_credits.management.progress import Progress


class Command(BaseCommand):
    """Grant the same amount to every selected owner; fails while one of them was refused."""

    help = (
        "Grant credits to the selected owners, a batch at a time. With --idempotency-key an owner gets them once, "
        "however often this runs: interrupted, it can simply be run again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("amount", metavar="AMOUNT", type=int, help="credits for each owner, 1 or more")
        selection.add_arguments(parser)
        parser.add_argument(
            "--reason", help="chooses the category as give_credits does; kept in the metadata"
        )
        parser.add_argument(
            "--expires-at", metavar="ISO", help="when the credits expire; without an offset in TIME_ZONE"
        )
        parser.add_argument(
            "--priority", type=int, default=0, help="which credits are spent first: lower ones (default: 0)"
        )
        parser.add_argument(
            "--scope", metavar="OPERATION", nargs="+", help="the only operations that may spend the credits"
        )
        parser.add_argument("--asset", help="which wallet (default: the one give_credits takes)")
        parser.add_argument("--idempotency-key", metavar="KEY", help="makes it safe to run this again")
        parser.add_argument("--metadata", metavar="JSON", help="a JSON object kept with each transaction")
        parser.add_argument("--dry-run", action="store_true", help="only say how many owners are selected")
        arguments.add_batch_size(parser, "wallets")
        arguments.add_database(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        using = arguments.database(options)
        batch_size = arguments.batch_size(options)
        model = selection.owner_model(options["to"])
        asset = _asset(model, options["asset"])
        entry = _entry(options)
        owners = selection.owners(
            model,
            options["database"] or router.db_for_read(model),
            ids=options["ids"],
            lookups=options["filter"],
        )
        total = owners.count()
        gift = counted(entry.amount, "credit") if asset == "credits" else f"{entry.amount} {asset}"
        if options["dry_run"]:
            self.stdout.write(f"Would grant {gift} to {counted(total, 'owner')}.")
            return
        granted = replayed = failed = 0
        with Progress(self.stderr, total, options["verbosity"]) as progress:
            for batch in selection.batches(owners, batch_size):
                for grant in grant_all(batch, entry, asset=asset, using=using):
                    if grant.error is not None:
                        failed += 1
                        progress.clear()
                        self.stderr.write(f"{model._meta.label} {grant.owner.pk}: {grant.error}")
                    elif grant.transaction is not None and grant.transaction.replayed:
                        replayed += 1
                    else:
                        granted += 1
                progress.advance(len(batch))
        summary = (
            f"Granted {gift} to {counted(granted, 'owner')}, {replayed} already granted, {failed} failed."
        )
        if failed:
            raise CommandError(summary)
        self.stdout.write(self.style.SUCCESS(summary))


def _asset(model: type[models.Model], asset: str | None) -> str:
    try:
        return asset_of(model) if asset is None else clean_asset(asset)
    except InvalidValue as error:
        raise CommandError(f"--asset: {error}") from error


def _entry(options: dict[str, Any]) -> CreditEntry:
    reason: str | None = options["reason"]
    metadata = _metadata(options["metadata"])
    if reason is not None:
        metadata["reason"] = reason
    try:
        entry = credit_entry(
            options["amount"],
            category=category_of_grant(reason),
            expires_at=_moment(options["expires_at"]),
            metadata=metadata,
            idempotency_key=options["idempotency_key"],
            priority=options["priority"],
            scope=options["scope"],
        )
        conf.current().catalogue.check_scope(entry.scope)
    except InvalidValue as error:
        argument = "AMOUNT" if error.field == "amount" else f"--{error.field.replace('_', '-')}"
        raise CommandError(f"{argument}: {error.args[1]}") from error
    if entry.expires_at is not None and entry.expires_at <= timezone.now():
        raise CommandError(f"--expires-at: got {entry.expires_at.isoformat()}, it must be in the future.")
    return entry


def _metadata(text: str | None) -> dict[str, Any]:
    try:
        metadata = {} if text is None else json.loads(text)
    except ValueError as error:
        raise CommandError(f"--metadata: this is no JSON ({error}).") from error
    if not isinstance(metadata, dict):
        raise CommandError(f"--metadata: got {text!r}, allowed is a JSON object.")
    return metadata


def _moment(text: str | None) -> datetime.datetime | datetime.date | None:
    if text is None:
        return None
    try:
        moment = parse_date(text) or parse_datetime(text)
    except ValueError as error:
        raise CommandError(f"--expires-at: {error}.") from error
    if moment is None:
        raise CommandError(f"--expires-at: got {text!r}, allowed is an ISO 8601 date or time.")
    if isinstance(moment, datetime.datetime) and timezone.is_naive(moment):
        return timezone.make_aware(moment)
    return moment

"""Let dj-stripe take the events that somebody forwards: `stripe listen`, or the fake Stripe of the demo."""

from __future__ import annotations

import uuid
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.urls import reverse
from djstripe.models import WebhookEndpoint


class Command(BaseCommand):
    """Create dj-stripe's row of an endpoint, or give it another secret, and print where it receives."""

    help = "Accept Stripe's events signed by a secret, and print the address to which they are to be sent."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--secret", required=True, help="whsec_…, as `stripe listen --print-secret` says")
        parser.add_argument("--site", default="http://127.0.0.1:8000", help="where this site is served")

    def handle(self, *args: Any, **options: Any) -> None:
        site: str = options["site"].rstrip("/")
        # Named after the site: asking again for the same one gives the same address.
        name = uuid.uuid5(uuid.NAMESPACE_URL, site)
        url = site + reverse("djstripe:djstripe_webhook_by_uuid", kwargs={"uuid": name})
        WebhookEndpoint.objects.update_or_create(
            djstripe_uuid=name,
            defaults={
                "id": f"we_{name.hex}",
                "url": url,
                "secret": options["secret"],
                "enabled_events": ["*"],
                "status": "enabled",
                "livemode": False,
            },
        )
        self.stdout.write(url)

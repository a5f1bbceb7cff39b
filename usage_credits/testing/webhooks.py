"""Let dj-stripe receive webhooks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import uuid4

import stripe
from django.urls import reverse
from djstripe.models import WebhookEndpoint
from djstripe.settings import djstripe_settings

from usage_credits.billing.stripe_events import RECEIVERS


def receive_webhooks(
    base_url: str = "http://testserver",
    *,
    enabled_events: Iterable[str] | None = None,
    api_version: str | None = None,
) -> WebhookEndpoint:
    """Register this project's dj-stripe webhook with Stripe and return dj-stripe's row of it.

    `base_url` is where Stripe reaches this project; "testserver" is the host of Django's test client. The row keeps
    the secret by which signatures are checked. Asks whatever stripe-python talks to: a fake in this process, a fake
    server, or Stripe itself. `enabled_events` are the types of events it is told of; left out, those that credits
    need; ["*"] is all there are. `api_version`, such as "2024-06-20", is the version in whose shape events come, the
    account's when left out.
    """
    uuid = uuid4()
    path = reverse("djstripe:djstripe_webhook_by_uuid", kwargs={"uuid": uuid})
    api_key = djstripe_settings.get_default_api_key(djstripe_settings.STRIPE_LIVE_MODE)
    options: dict[str, Any] = {
        "enabled_events": sorted(RECEIVERS if enabled_events is None else enabled_events)
    }
    if api_version:
        options["api_version"] = api_version
    registered = stripe.WebhookEndpoint.create(
        url=base_url + path,
        metadata={"djstripe_uuid": str(uuid)},
        api_key=api_key,
        **options,
    )
    return WebhookEndpoint.sync_from_stripe_data(registered, api_key=api_key)

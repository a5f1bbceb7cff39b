"""Let dj-stripe receive the events of a fake Stripe."""

from __future__ import annotations

from django.urls import reverse
from djstripe.models import WebhookEndpoint

from usage_credits.testing.fake_stripe import FakeStripe


def receive_webhooks(fake: FakeStripe, *, base_url: str = "http://testserver") -> WebhookEndpoint:
    """Register this project's dj-stripe webhook with `fake` and return dj-stripe's row of it.

    `base_url` is where this project is served; the row holds the secret by which signatures are checked.
    """
    endpoint = WebhookEndpoint(status="enabled", livemode=False)
    path = reverse("djstripe:djstripe_webhook_by_uuid", kwargs={"uuid": endpoint.djstripe_uuid})
    registered = fake.add_webhook_endpoint(base_url + path)
    endpoint.id = registered["id"]
    endpoint.url = registered["url"]
    endpoint.secret = registered["secret"]
    endpoint.enabled_events = registered["enabled_events"]
    endpoint.save()
    return endpoint

"""Deliver events: signed, to every endpoint that wants them, over HTTP or through Django's test client."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from django.test import Client

from usage_credits.testing.fake_stripe.events import is_wanted, render
from usage_credits.testing.fake_stripe.store import Payload, Store
from usage_credits.testing.signatures import stripe_signature

Sender = Callable[[str, bytes, Mapping[str, str]], int]
"""Posts a body with headers to a URL and returns the status of the answer."""

_TIMEOUT = 30


def over_http(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """Post to a running server; an answer of any status is an answer."""
    request = urllib.request.Request(url, data=body, headers=dict(headers), method="POST")  # noqa: S310 - its own URL
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code


def through_test_client(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """Post to this process's own URLconf; an error of the view is answered 500, as a server would."""
    client = Client(raise_request_exception=False)
    response = client.post(
        urlsplit(url).path,
        data=body,
        content_type=headers["Content-Type"],
        headers=_without_content_type(headers),
    )
    return int(response.status_code)


def deliver(store: Store, event: Payload, send: Sender, *, secret: str | None = None) -> list[int]:
    """Send the event once to each endpoint that wants it and return the statuses of their answers.

    `secret` signs instead of the endpoint's own: a forgery.
    """
    statuses = []
    for endpoint in list(store.all("webhook_endpoint")):
        if is_wanted(event, endpoint):
            body = json.dumps(render(store, event, endpoint["api_version"])).encode()
            headers = {
                "Content-Type": "application/json; charset=utf-8",
                "Stripe-Signature": stripe_signature(body, secret or endpoint["secret"]),
                "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
            }
            statuses.append(send(endpoint["url"], body, headers))
    return statuses


def _without_content_type(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != "Content-Type"}

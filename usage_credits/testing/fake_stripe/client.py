"""Let stripe-python talk to a fake in the same process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import stripe
from requests.structures import CaseInsensitiveDict

from usage_credits.testing.fake_stripe.fake import FakeStripe


class FakeStripeClient(stripe.HTTPClient):
    """The HTTP client of stripe-python that asks a fake instead of the network."""

    name = "fake"

    def __init__(self, fake: FakeStripe) -> None:
        super().__init__()
        self.fake = fake

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        parts = urlsplit(url)
        answer = self.fake.handle(method, parts.path, post_data or parts.query, headers or {})
        return answer.body, answer.status, CaseInsensitiveDict(answer.headers)

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        body, status, answered = self.request(method, url, headers, post_data)
        return body.encode(), status, answered

    def close(self) -> None:
        pass


@contextmanager
def use_fake_stripe(fake: FakeStripe) -> Iterator[FakeStripe]:
    """Make every call of stripe-python, and so of dj-stripe, in this process go to the fake."""
    before = stripe.default_http_client
    stripe.default_http_client = FakeStripeClient(fake)
    try:
        yield fake
    finally:
        stripe.default_http_client = before


def fake_in_use() -> FakeStripe | None:
    """Return the fake that `use_fake_stripe` made stripe-python talk to; None where it talks to another."""
    client = stripe.default_http_client
    return client.fake if isinstance(client, FakeStripeClient) else None

"""What a web process of the concurrency tests does: take webhooks, with Stripe behind an address of its own."""

from __future__ import annotations

from collections.abc import Mapping

import stripe

from usage_credits.testing.fake_stripe import through_test_client

ATTEMPTS = 10


def receive(api_base: str, deliveries: list[tuple[str, bytes, Mapping[str, str]]]) -> list[int]:
    """Take each delivery, again while it is answered by an error, as Stripe does; return the last answers."""
    stripe.api_base = api_base
    answers = []
    for url, body, headers in deliveries:
        for _attempt in range(ATTEMPTS):
            status = through_test_client(url, body, headers)
            if status < 500:
                break
        answers.append(status)
    return answers

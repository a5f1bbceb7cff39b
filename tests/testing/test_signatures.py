from __future__ import annotations

import time

import pytest
import stripe

from usage_credits.testing import stripe_signature

PAYLOAD = '{"id": "evt_1", "name": "Zoë"}'


@pytest.mark.parametrize("payload", [PAYLOAD, PAYLOAD.encode()])
def test_sign_as_stripe_verifies(payload: str | bytes) -> None:
    header = stripe_signature(payload, "whsec_1")
    assert stripe.WebhookSignature.verify_header(PAYLOAD, header, "whsec_1", tolerance=300)


def test_sign_at_a_given_time() -> None:
    header = stripe_signature(PAYLOAD, "whsec_1", timestamp=int(time.time()) - 301)
    with pytest.raises(stripe.SignatureVerificationError, match="tolerance"):
        stripe.WebhookSignature.verify_header(PAYLOAD, header, "whsec_1", tolerance=300)


def test_refuse_signature_by_another_secret() -> None:
    header = stripe_signature(PAYLOAD, "whsec_1")
    with pytest.raises(stripe.SignatureVerificationError, match="No signatures found"):
        stripe.WebhookSignature.verify_header(PAYLOAD, header, "whsec_2")

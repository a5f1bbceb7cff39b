"""Sign webhook payloads the way Stripe does."""

from __future__ import annotations

import hashlib
import hmac
import time


def stripe_signature(payload: str | bytes, secret: str, *, timestamp: int | None = None) -> str:
    """Return the `Stripe-Signature` header for a webhook's body.

    `timestamp` is in seconds since the epoch, now when left out; receivers refuse one that is too old.
    """
    moment = int(time.time()) if timestamp is None else timestamp
    body = payload.encode() if isinstance(payload, str) else payload
    digest = hmac.new(secret.encode(), b"%d." % moment + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"

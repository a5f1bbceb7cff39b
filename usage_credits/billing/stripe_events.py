"""Receive Stripe's webhook events from dj-stripe."""

from __future__ import annotations


def connect() -> None:
    """Connect the receivers to dj-stripe's signals; call it once all apps are loaded."""

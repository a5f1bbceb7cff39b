"""What the test suites of projects need: captured events, a stopped clock, a fake Stripe, a proof of the ledger.

Every name is imported on first use: pytest loads the plugin before Django is configured, and what one name needs may
be missing where another is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from usage_credits.testing.clock import StoppedClock, stop_clock
    from usage_credits.testing.events import CapturedEvents, capture_events
    from usage_credits.testing.fake_stripe import FakeStripe, FakeStripeServer, use_fake_stripe
    from usage_credits.testing.signatures import stripe_signature
    from usage_credits.testing.soundness import assert_ledger_sound
    from usage_credits.testing.stripe_world import StripeWorld, use_stripe_world
    from usage_credits.testing.webhooks import receive_webhooks

__all__ = [
    "CapturedEvents",
    "FakeStripe",
    "FakeStripeServer",
    "StoppedClock",
    "StripeWorld",
    "assert_ledger_sound",
    "capture_events",
    "receive_webhooks",
    "stop_clock",
    "stripe_signature",
    "use_fake_stripe",
    "use_stripe_world",
]

_MODULES = {
    "clock": ("StoppedClock", "stop_clock"),
    "events": ("CapturedEvents", "capture_events"),
    "fake_stripe": ("FakeStripe", "FakeStripeServer", "use_fake_stripe"),
    "signatures": ("stripe_signature",),
    "soundness": ("assert_ledger_sound",),
    "stripe_world": ("StripeWorld", "use_stripe_world"),
    "webhooks": ("receive_webhooks",),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""What the test suites of projects need: a fake Stripe, signed events, captured events."""

from __future__ import annotations

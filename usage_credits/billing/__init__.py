"""From payment to credits. Only the modules named `stripe_…` know Stripe and dj-stripe."""

from __future__ import annotations

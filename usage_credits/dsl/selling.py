"""Let what is sold start its own checkout."""

from __future__ import annotations

from typing import Any


class Sellable:
    """Something that can be bought through Stripe: a pack or a plan."""

    def create_checkout_session(self, owner: Any, **options: Any) -> Any:
        """Create the Stripe checkout session in which `owner` buys this; for options see billing.checkout."""
        from usage_credits.billing.checkout import create_checkout_session

        return create_checkout_session(self, owner, **options)

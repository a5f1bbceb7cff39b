"""Let what is sold start its own checkout."""

from __future__ import annotations

from typing import Any

from usage_credits.twins import twin_method


class Sellable:
    """Something that can be bought through Stripe: a pack or a plan."""

    def create_checkout_session(
        self,
        /,
        owner: Any,
        *,
        period: Any = None,
        quantity: int = 1,
        provider: str = "stripe",
        **options: Any,
    ) -> Any:
        """Create the Stripe checkout session in which `owner` buys this; its `url` is where the buyer pays.

        `period` chooses among the prices of a plan that has several, `quantity` is the seats of a subscription; for
        `options` and errors see billing.checkout.
        """
        from usage_credits.billing.checkout import create_checkout_session

        return create_checkout_session(
            self, owner, period=period, quantity=quantity, provider=provider, **options
        )

    acreate_checkout_session = twin_method(create_checkout_session)

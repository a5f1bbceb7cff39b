"""Ask Stripe for objects as they are now, with the keys and versions that dj-stripe uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import stripe
from djstripe.models import Event
from djstripe.settings import djstripe_settings

from usage_credits.billing.stripe_objects import Payload


@dataclass(frozen=True)
class Access:
    """How to reach the account in which something happened."""

    api_key: str
    account: str | None = None

    @classmethod
    def default(cls) -> Access:
        """Return the access of the project's own account, in the mode of its settings."""
        return cls(djstripe_settings.get_default_api_key(djstripe_settings.STRIPE_LIVE_MODE))

    @classmethod
    def of(cls, event: Event) -> Access:
        """Return the access of the account that an event comes from."""
        account = event.djstripe_owner_account
        return cls(event.default_api_key, account.id if account else None)

    def options(self) -> dict[str, Any]:
        """Return the request options for stripe-python."""
        return {
            "api_key": self.api_key,
            "stripe_account": self.account,
            "stripe_version": djstripe_settings.STRIPE_API_VERSION,
        }


def retrieve_intent(intent_id: str, access: Access) -> Payload | None:
    """Return a payment intent with its latest charge, or None where Stripe has none of this id."""
    try:
        return stripe.PaymentIntent.retrieve(
            intent_id, expand=["latest_charge"], **access.options()
        ).to_dict()
    except stripe.InvalidRequestError as error:
        _raise_unless_missing(error)
        return None


def retrieve_session(session_id: str, access: Access) -> Payload | None:
    """Return a checkout session, or None where Stripe has none of this id."""
    try:
        return stripe.checkout.Session.retrieve(session_id, **access.options()).to_dict()
    except stripe.InvalidRequestError as error:
        _raise_unless_missing(error)
        return None


def _raise_unless_missing(error: stripe.InvalidRequestError) -> None:
    if error.code != "resource_missing":
        raise error

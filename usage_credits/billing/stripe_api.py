"""Ask Stripe for objects as they are now, with the keys and versions that dj-stripe uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import stripe
from djstripe.models import Event
from djstripe.settings import djstripe_settings

from usage_credits.billing.stripe_objects import Payload, sid, subscription_of

ERRORS: Final[tuple[type[Exception], ...]] = (stripe.StripeError,)
"""What requests raise where Stripe refuses or does not answer."""


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


def retrieve_session(session_id: str, access: Access, *, expand: Sequence[str] = ()) -> Payload | None:
    """Return a checkout session, with objects for the ids in `expand`, or None where Stripe has none of this id."""
    try:
        return stripe.checkout.Session.retrieve(session_id, expand=list(expand), **access.options()).to_dict()
    except stripe.InvalidRequestError as error:
        _raise_unless_missing(error)
        return None


def retrieve_subscription(subscription_id: str, access: Access) -> Payload | None:
    """Return a subscription with its latest invoice, or None where Stripe has none of this id."""
    try:
        return stripe.Subscription.retrieve(
            subscription_id, expand=["latest_invoice"], **access.options()
        ).to_dict()
    except stripe.InvalidRequestError as error:
        _raise_unless_missing(error)
        return None


def list_invoices(subscription: Payload, access: Access) -> list[Payload]:
    """Return a subscription's invoices, oldest first: the latest hundred, with up to ten lines each."""
    listed = _listed(stripe.Invoice.list, access, subscription=subscription["id"])
    latest = subscription.get("latest_invoice")
    if isinstance(latest, Mapping) and all(invoice["id"] != latest["id"] for invoice in listed):
        listed = [latest, *listed]
    return listed[::-1]


def list_pending_items(subscription: Payload, access: Access) -> list[Payload]:
    """Return what waits for a subscription's next invoice, as prorations do, oldest first."""
    items = _listed(stripe.InvoiceItem.list, access, customer=sid(subscription.get("customer")), pending=True)
    return [item for item in items[::-1] if subscription_of(item) == subscription["id"]]


def _listed(fetch: Callable[..., Any], access: Access, **filters: Any) -> list[Payload]:
    """Return one full page, newest first; nothing where Stripe has nothing to list."""
    try:
        return [one.to_dict() for one in fetch(limit=100, **filters, **access.options()).data]
    except stripe.InvalidRequestError as error:
        _raise_unless_missing(error)
        return []


def _raise_unless_missing(error: stripe.InvalidRequestError) -> None:
    if error.code != "resource_missing" and error.http_status != 404:
        raise error

"""Read Stripe's payloads, in today's shape and in that of older API versions.

Amounts are in the currency's minor unit, as Stripe sends them; dj-stripe's columns divide some of them by 100.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

Payload = Mapping[str, Any]

SUCCEEDED = "succeeded"


def sid(value: str | Payload | None) -> str | None:
    """Return the id of what a field refers to, given as an id or as the expanded object."""
    return value["id"] if isinstance(value, Mapping) else value or None


def subscription_of(payload: Payload) -> str | None:
    """Return the id of the subscription that an invoice, or an item for one, is for; None for other ones."""
    details = (payload.get("parent") or {}).get("subscription_details") or {}
    return sid(details.get("subscription")) or sid(payload.get("subscription"))


def metadata_of(payload: Payload) -> dict[str, str]:
    """Return the metadata; every value is text, whatever was given at creation."""
    return dict(payload.get("metadata") or {})


def is_paid(payment: Payload) -> bool:
    """Tell whether the money of a charge or payment intent has arrived.

    The status decides. A charge too old to have one counts as paid when all of a positive amount was captured;
    something that is no object of Stripe's, and so cannot be asked, counts as paid.
    """
    if "object" not in payment:
        return True
    status = payment.get("status")
    if status is not None:
        return bool(status == SUCCEEDED)
    captured = payment.get("amount_captured", payment.get("amount_received"))
    return bool(captured and captured == payment.get("amount"))


def is_session_paid(session: Payload) -> bool:
    """Tell whether a checkout session is paid, or completed with nothing to pay."""
    return (
        session.get("payment_status") in ("paid", "no_payment_required") and session.get("status") != "open"
    )


def charge_of(intent: Payload) -> Payload | None:
    """Return the charge of a payment intent whose `latest_charge` is expanded; older payloads list `charges`."""
    latest = intent.get("latest_charge")
    if isinstance(latest, Mapping):
        return latest
    charges: list[Payload] = (intent.get("charges") or {}).get("data") or []
    return charges[0] if charges else None


def refunded_amount(charge: Payload | None) -> int:
    """Return how much of a charge was given back; 0 where that is no amount."""
    amount = charge.get("amount_refunded") if charge else None
    return amount if type(amount) is int else 0


def moment_of(payload: Payload | None) -> datetime.datetime | None:
    """Return when the object was created."""
    created = payload.get("created") if payload else None
    return moment_from(created) if created else None


def moment_from(seconds: int) -> datetime.datetime:
    """Return the moment that Stripe writes as whole seconds since the epoch."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC)

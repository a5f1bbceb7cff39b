"""Settle purchases of packs by what Stripe says of them now."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from usage_credits.billing import purchases
from usage_credits.billing.purchases import Purchase, is_pack_purchase
from usage_credits.billing.refunds import Look, Returned
from usage_credits.billing.stripe_api import Access, retrieve_intent, retrieve_session
from usage_credits.billing.stripe_charges import look_at, returned_of
from usage_credits.billing.stripe_customers import find_owner
from usage_credits.billing.stripe_objects import (
    Payload,
    charge_of,
    is_paid,
    is_session_paid,
    metadata_of,
    moment_of,
    sid,
)
from usage_credits.models import Fulfillment, PaymentNotice


def settle_intent(
    intent_id: str,
    access: Access,
    *,
    session: Payload | None = None,
    accept_changed: bool = False,
) -> Fulfillment | PaymentNotice | None:
    """Settle the purchase behind a payment intent unless it is fulfilled already; see `settle_whole`."""
    return purchases.find_settled(f"pi:{intent_id}") or settle_whole(
        intent_id, access, session=session, accept_changed=accept_changed
    )


def settle_whole(
    intent_id: str,
    access: Access,
    *,
    session: Payload | None = None,
    accept_changed: bool = False,
) -> Fulfillment | PaymentNotice | None:
    """Settle the purchase behind a payment intent, its refunds and disputes included; see `purchases.settle`.

    `session`, where known, is the checkout session that led to it: its metadata stands in where the payment intent has
    none. Raises stripe.StripeError where Stripe cannot answer.
    """
    intent = retrieve_intent(intent_id, access)
    return (
        settle_retrieved(intent, access, session=session, accept_changed=accept_changed) if intent else None
    )


def settle_retrieved(
    intent: Payload, access: Access, *, session: Payload | None = None, accept_changed: bool = False
) -> Fulfillment | PaymentNotice | None:
    """Settle the purchase behind a payment intent that was retrieved a moment ago; see `settle_whole`."""
    purchase = _of_intent(f"pi:{intent['id']}", intent, session, access)
    charge_id = sid(intent.get("latest_charge"))
    look = partial(look_at, charge_id, access) if charge_id else lambda: purchase.returned
    return _settle(purchase, look, access, accept_changed=accept_changed)


def settle_session(
    session_id: str, access: Access, *, accept_changed: bool = False
) -> Fulfillment | PaymentNotice | None:
    """Settle the purchase of a checkout session, by its payment intent where there is one; see `settle_intent`."""
    key = f"cs:{session_id}"
    fulfillment = purchases.find_settled(key)
    if fulfillment is not None:
        return fulfillment
    session = retrieve_session(session_id, access)
    if session is None:
        return None
    intent_id = sid(session.get("payment_intent"))
    if intent_id:
        return settle_intent(intent_id, access, session=session, accept_changed=accept_changed)
    purchase = _of_session(key, session, access)
    return _settle(purchase, lambda: purchase.returned, access, accept_changed=accept_changed)


def _settle(
    purchase: Purchase, look: Look, access: Access, *, accept_changed: bool
) -> Fulfillment | PaymentNotice | None:
    find = partial(find_owner, purchase.metadata, purchase.customer_id, access)
    return purchases.settle(purchase, find, look, accept_changed=accept_changed)


def _of_intent(key: str, intent: Payload, session: Payload | None, access: Access) -> Purchase:
    metadata = metadata_of(intent)
    if session is not None and not is_pack_purchase(metadata):
        metadata = metadata_of(session)
    charge = charge_of(intent)
    customer_id = sid(intent.get("customer")) or ""
    return Purchase(
        key=key,
        metadata=metadata,
        is_paid=is_paid(intent),
        amount=intent.get("amount_received") or 0,
        currency=intent["currency"],
        returned=returned_of(charge, access) if charge else Returned(amount=0),
        customer_id=customer_id,
        charge=charge,
        purchased_at=moment_of(charge or intent),
        references=_references(
            charge_id=sid(charge),
            payment_intent_id=intent["id"],
            checkout_session_id=session["id"] if session else None,
            customer_id=customer_id,
            account_id=access.account,
        ),
    )


def _of_session(key: str, session: Payload, access: Access) -> Purchase:
    customer_id = sid(session.get("customer")) or ""
    return Purchase(
        key=key,
        metadata=metadata_of(session),
        is_paid=is_session_paid(session),
        amount=session.get("amount_total") or 0,
        returned=Returned(amount=0),
        currency=session["currency"],
        customer_id=customer_id,
        purchased_at=moment_of(session),
        references=_references(
            checkout_session_id=session["id"], customer_id=customer_id, account_id=access.account
        ),
    )


def _references(**ids: str | None) -> Mapping[str, str]:
    return {name: value for name, value in ids.items() if value}

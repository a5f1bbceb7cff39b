"""Stripe customers and the owners behind them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, cast

import stripe
from django.db import models
from djstripe.models import Customer
from djstripe.settings import djstripe_settings

from usage_credits import conf
from usage_credits.billing.owner_references import OWNER_KEY, find_referenced, reference_to
from usage_credits.billing.stripe_api import Access


def find_owner(metadata: Mapping[str, str], customer_id: str | None, access: Access) -> models.Model | None:
    """Return the owner that a payment belongs to, or None.

    Whom checkout recorded in `metadata` comes first: it is the one who bought, and stays right where several owners
    share a customer or dj-stripe no longer knows it. Otherwise the customer's owner, see `owner_of`.
    """
    referenced = find_referenced(metadata.get(OWNER_KEY))
    if referenced is not None or not customer_id:
        return referenced
    customer = find_customer(customer_id, access)
    return owner_of(customer) if customer else None


def owner_of(customer: Customer) -> models.Model | None:
    """Return what OWNER_RESOLVER finds; without one the customer's subscriber, or whom its metadata names."""
    resolver = conf.current().hook("OWNER_RESOLVER")
    owner = (
        resolver(customer)
        if resolver
        else customer.subscriber or find_referenced((customer.metadata or {}).get(OWNER_KEY))
    )
    return cast("models.Model | None", owner)


def find_customer(customer_id: str, access: Access) -> Customer | None:
    """Return dj-stripe's customer, retrieved from Stripe where it is missing; None where Stripe has none either."""
    known = Customer.objects.filter(id=customer_id).first()
    if known is not None:
        return known
    try:
        retrieved = stripe.Customer.retrieve(customer_id, **access.options())
    except stripe.InvalidRequestError as error:
        if error.code == "resource_missing":
            return None
        raise
    return Customer.sync_from_stripe_data(retrieved, api_key=access.api_key)


def ensure_customer(owner: models.Model) -> str:
    """Return the id of the owner's Stripe customer, created where there is none.

    A new one has the owner's email and full name, where the model has them, and what CUSTOMER_ATTRIBUTES(owner)
    returns: arguments of `stripe.Customer.create`, which win. Raises InvalidValue for an owner that is not saved and
    stripe.StripeError where Stripe refuses.
    """
    return find_own_customer(owner) or _create_customer(owner)


def find_own_customer(owner: models.Model) -> str | None:
    """Return the id of the Stripe customer that dj-stripe has for the owner, or None; asks the database alone."""
    reference = reference_to(owner)
    customers = Customer.objects.filter(livemode=djstripe_settings.STRIPE_LIVE_MODE, date_purged=None)
    owned = (
        customers.filter(subscriber=owner)
        if _is_subscriber(owner)
        else customers.filter(**{f"metadata__{OWNER_KEY}": reference})
    )
    living = [customer for customer in owned.order_by("djstripe_id") if not customer.deleted]
    return str(living[0].id) if living else None


def _create_customer(owner: models.Model) -> str:
    access = Access.default()
    attributes = _attributes_of(owner)
    metadata = {**(attributes.pop("metadata", None) or {}), OWNER_KEY: reference_to(owner)}
    subscriber_key = djstripe_settings.SUBSCRIBER_CUSTOMER_KEY
    if _is_subscriber(owner) and subscriber_key:
        metadata[subscriber_key] = str(owner.pk)
    arguments = {**attributes, "metadata": metadata}
    created = stripe.Customer.create(
        **arguments, idempotency_key=_idempotency_key(arguments), **access.options()
    )
    if Customer.objects.filter(id=created.id, date_purged__isnull=False).exists():
        # Stripe repeated its answer of up to a day ago, and that customer was deleted since.
        created = stripe.Customer.create(**arguments, **access.options())
    customer = Customer.sync_from_stripe_data(created, api_key=access.api_key)
    if _is_subscriber(owner) and customer.subscriber != owner:
        customer.subscriber = owner
        customer.save(update_fields=["subscriber"])
    return str(customer.id)


def _attributes_of(owner: models.Model) -> dict[str, Any]:
    full_name = getattr(owner, "get_full_name", None)
    attributes = {
        "email": getattr(owner, "email", None) or None,
        "name": (full_name() if full_name else None) or None,
    }
    hook = conf.current().hook("CUSTOMER_ATTRIBUTES")
    return {**attributes, **((hook(owner) if hook else None) or {})}


def _idempotency_key(arguments: dict[str, Any]) -> str:
    """Let two checkouts at once create one customer; dj-stripe keeps the key, and takes up to 100 characters."""
    digest = hashlib.sha256(json.dumps(arguments, sort_keys=True, default=str).encode()).hexdigest()
    key: str = djstripe_settings.get_idempotency_key(
        "customer", f"usage_credits:{digest}", livemode=djstripe_settings.STRIPE_LIVE_MODE
    )
    return key


def _is_subscriber(owner: models.Model) -> bool:
    return isinstance(owner, djstripe_settings.get_subscriber_model())

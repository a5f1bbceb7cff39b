"""Name an owner in text that Stripe carries along, and find it again.

Our own server writes the reference into metadata of sessions, payment intents and customers. Stripe lets only holders
of the secret key change those, so a buyer cannot point a payment at somebody else.
"""

from __future__ import annotations

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import models

from usage_credits.exceptions import InvalidValue

OWNER_KEY = "usage_credits_owner"
"""The key of the reference in Stripe's metadata."""


def reference_to(owner: models.Model) -> str:
    """Return e.g. "accounts.user:42"; raise InvalidValue for an owner that is not saved."""
    if owner._state.adding or owner.pk is None:
        raise InvalidValue("owner", f"an unsaved {type(owner).__name__} cannot buy anything; save it first.")
    model = owner._meta.concrete_model or type(owner)
    return f"{model._meta.label_lower}:{owner.pk}"


def find_referenced(reference: str | None) -> models.Model | None:
    """Return the owner that a reference names, or None where it is no reference or the owner is gone."""
    label, _colon, key = (reference or "").partition(":")
    try:
        owner: models.Model | None = apps.get_model(label)._base_manager.filter(pk=key).first()
    except (LookupError, ValueError, ValidationError):
        return None
    return owner

"""Take an order: draw the picture, charge for it and keep it."""

from __future__ import annotations

import uuid

from django.core.files.base import ContentFile
from django.db import transaction

from studio.models import Render, User
from studio.rendering import Picture, draw
from usage_credits import InsufficientCredits, InvalidOperation


def order(
    owner: User,
    operation: str,
    picture: Picture,
    *,
    title: str,
    key: uuid.UUID,
    upscaled_from: Render | None = None,
) -> Render:
    """Draw `picture`, charge `operation` for it and return the render; `key` names the order and then the render.

    The charge and the render commit together: whatever fails, neither is there. Ordering again by the same key
    returns the render of the first order and charges nothing. Raises InsufficientCredits, InvalidOperation.
    """
    # Asked first so that nobody draws what cannot be paid. The charge below is what decides.
    price = owner.estimate_credits_to(operation, megapixels=picture.megapixels)
    known = Render.objects.filter(pk=key).first()
    if known is not None and known.owner_id != owner.pk:
        raise InvalidOperation("This order is somebody else's. Begin a new one.")
    if known is not None:
        return known
    available = owner.credits
    if price > available:
        raise InsufficientCredits(available, price)
    # Drawn before the transaction: the wallet stays locked for as long as it takes to write two rows.
    file = ContentFile(draw(picture))
    with transaction.atomic():
        charge = owner.spend_credits_on(
            operation,
            megapixels=picture.megapixels,
            idempotency_key=f"order:{key}",
            metadata={"title": title},
        )
        if charge is None:
            raise ValueError(f"{operation} is free: nothing to keep a render by.")
        if charge.replayed:
            return Render.objects.get(pk=key, owner=owner)
        render = Render(
            pk=key,
            owner=owner,
            title=title,
            style=picture.style.value,
            seed=picture.seed,
            width=picture.width,
            height=picture.height,
            charge=charge,
            upscaled_from=upscaled_from,
        )
        render.image.save("render.png", file, save=False)
        render.save(force_insert=True)
    return render

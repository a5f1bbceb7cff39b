"""The checkout of a credit pack: one payment, one line whose price comes from the pack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models

from usage_credits import conf
from usage_credits.billing.owner_references import OWNER_KEY, reference_to
from usage_credits.dsl.packs import CreditPack
from usage_credits.exceptions import InvalidValue


def pack_parameters(
    pack: CreditPack, owner: models.Model, options: Mapping[str, Any], *, period: object, quantity: object
) -> dict[str, Any]:
    """Return the parameters of the checkout session; `options` and what they hold are left as they are.

    Raises InvalidValue for a pack that CREDIT_PACKS does not hold as it is: its payment could not be awarded. Packs
    are sold one at a time, and have no periods.
    """
    if period is not None:
        raise InvalidValue.of("period", period, "None: a pack is paid once")
    if type(quantity) is not int or quantity != 1:
        raise InvalidValue.of(
            "quantity", quantity, "1: a purchase awards one pack; offer larger packs instead"
        )
    sold = conf.find_credit_pack(pack.name)
    if sold is None or sold != pack.in_currency(sold.price.currency):
        raise InvalidValue("pack", f"{pack.name!r} is not in CREDIT_PACKS as it is offered here.")
    ours = {**sold.base_metadata(), OWNER_KEY: reference_to(owner)}
    intent_options = options.get("payment_intent_data") or {}
    return {
        **options,
        "mode": "payment",
        "line_items": [_line(sold)],
        "metadata": _merged(options, ours),
        "payment_intent_data": {**intent_options, "metadata": _merged(intent_options, ours)},
    }


def _line(pack: CreditPack) -> dict[str, Any]:
    return {
        "quantity": 1,
        "price_data": {
            "currency": pack.price.currency,
            "unit_amount": pack.price.amount,
            "product_data": {"name": pack.display_name, "description": pack.credits_text},
        },
    }


def _merged(options: Mapping[str, Any], ours: Mapping[str, str]) -> dict[str, Any]:
    return {**(options.get("metadata") or {}), **ours}

"""A period that counts as paid until its payment is known: how its fulfillment stood before it.

A renewal's invoice is drawn up when the period begins and collected later. What is awarded meanwhile stays in the
ledger; the rest goes back to where it stood, and the payment is then taken up as though nothing had gone before.
"""

from __future__ import annotations

import copy
import datetime
from typing import Any, cast

from django.db import models

from usage_credits.models import Fulfillment

_COLUMNS = (
    "plan_name",
    "as_sold",
    "credits_last_awarded",
    "seats",
    "seats_awarded",
    "anchor",
    "period",
    "last_fulfilled_at",
    "next_fulfillment_at",
    "paid_from",
    "paid_through",
    "stops_at",
    "stop_reason",
    "pending_plan",
    "pending_from",
    "changed_at",
    "metadata",
)


def keep_standing(fulfillment: Fulfillment) -> None:
    """Keep how a fulfillment stands; call it before a period that is not paid yet is taken up."""
    fulfillment.if_unpaid = {name: _plain(getattr(fulfillment, name)) for name in _COLUMNS}


def restore_standing(fulfillment: Fulfillment) -> None:
    """Bring a fulfillment back to what is certain, if it had taken up a period that was not paid yet."""
    kept, fulfillment.if_unpaid = fulfillment.if_unpaid, {}
    for name, value in kept.items():
        setattr(fulfillment, name, _column(name).to_python(value))


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime.datetime) else copy.deepcopy(value)


def _column(name: str) -> models.Field[Any, Any]:
    return cast("models.Field[Any, Any]", Fulfillment._meta.get_field(name))

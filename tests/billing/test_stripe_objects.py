from __future__ import annotations

from typing import Any

import pytest

from usage_credits.billing.stripe_objects import charge_of, is_paid, refunded_amount, sid


@pytest.mark.behaviour("PFL-04")
@pytest.mark.parametrize(
    ("payment", "paid"),
    [
        ({"object": "charge", "status": "succeeded"}, True),
        ({"object": "charge", "status": "failed", "amount": 100, "amount_captured": 100}, False),
        ({"object": "charge", "status": "pending"}, False),
        ({"object": "payment_intent", "status": "canceled"}, False),
        ({"object": "charge", "amount": 100, "amount_captured": 100}, True),
        ({"object": "payment_intent", "status": None, "amount": 100, "amount_received": 100}, True),
        ({"object": "charge", "amount": 100, "amount_captured": 99}, False),
        ({"object": "charge", "amount": 0, "amount_captured": 0}, False),
        ({"object": "charge"}, False),
        ({"reference": "bank transfer 7"}, True),
    ],
)
def test_tell_paid_by_status_then_by_what_was_captured(payment: dict[str, Any], paid: bool) -> None:
    assert is_paid(payment) is paid


@pytest.mark.behaviour("PFL-04")
def test_prefer_present_shape_of_charge_to_old_one() -> None:
    new, old = {"id": "ch_new"}, {"id": "ch_old"}
    assert charge_of({"latest_charge": new, "charges": {"data": [old]}}) == new
    assert charge_of({"charges": {"data": [old]}}) == old
    assert charge_of({"latest_charge": None}) is None


def test_read_id_of_reference_and_of_object() -> None:
    assert sid("cus_1") == "cus_1"
    assert sid({"id": "cus_1"}) == "cus_1"
    assert sid(None) is None
    assert sid("") is None


def test_read_refunded_amount() -> None:
    assert refunded_amount({"amount_refunded": 5}) == 5
    assert refunded_amount({}) == 0
    assert refunded_amount({"amount_refunded": "much"}) == 0
    assert refunded_amount(None) == 0

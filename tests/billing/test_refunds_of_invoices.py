from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest

from tests.app.models import User
from tests.billing.subscribing import START, awards_of, stripe_at, subscribe
from tests.factories import configured
from usage_credits.ledger.verification import verify
from usage_credits.models import Transaction
from usage_credits.testing import FakeStripe


def charge_of(fake: FakeStripe, invoice: dict[str, Any]) -> dict[str, Any]:
    """Return the charge that paid an invoice."""
    (payment,) = (one for one in fake.all("invoice_payment") if one["invoice"] == invoice["id"])
    intent = fake.get("payment_intent", payment["payment"]["payment_intent"])
    return fake.get("charge", intent["latest_charge"])


def refunds() -> list[int]:
    rows = Transaction.objects.filter(category="subscription_refund").order_by("pk")
    return list(rows.values_list("amount", flat=True))


@pytest.mark.behaviour("DEC-16", "RFD-09")
@pytest.mark.parametrize("is_seen_before", [True, False])
def test_take_back_the_first_cycle_and_the_bonus(fake: FakeStripe, user: User, is_seen_before: bool) -> None:
    with stripe_at(fake):
        subscription = subscribe(fake, user)
        if is_seen_before:
            assert set(fake.deliver_pending()) == {200}
            assert user.credits == 600
        user.give_credits(50)
        (invoice,) = fake.all("invoice")
        fake.refund(charge_of(fake, invoice), 1_450)
        for event in reversed(fake.announced):
            assert fake.deliver(event) == [200]
        assert awards_of(subscription) == [
            ("subscription_signup_bonus", 100),
            ("subscription_credits", 500),
            ("subscription_refund", -300),
        ]
        assert user.credits == 350
        assert Transaction.objects.latest("pk").idempotency_key == f"in:{invoice['id']}:clawback:1"
    assert list(verify()) == []


@pytest.mark.behaviour("DEC-16", "RFD-09")
def test_take_back_only_what_the_refunded_invoice_awarded(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake) as clock:
        subscribe(fake, user, "price_roll")
        assert set(fake.deliver_pending()) == {200}
        clock.move_to(START + timedelta(days=32))
        fake.catch_up()
        assert set(fake.deliver_pending()) == {200}
        assert user.credits == 2_000
        user.wallet().debit(900)
        first, second = fake.all("invoice")
        fake.refund(charge_of(fake, second))
        assert set(fake.deliver_pending()) == {200}
        assert (refunds(), user.credits) == ([-1_000], 100)
        fake.refund(charge_of(fake, first), 490)
        fake.refund(charge_of(fake, first), 4_410)
        assert set(fake.deliver_pending()) == {200}
        assert (refunds(), user.credits, user.wallet().claims) == ([-1_000, -100], 0, 900)
        fake.fail_refund(fake.all("refund")[-1])
        assert set(fake.deliver_pending()) == {200}
        assert (refunds(), user.wallet().claims) == ([-1_000, -100], 0)
    assert list(verify()) == []


@pytest.mark.behaviour("RFD-17")
def test_give_back_with_the_expiry_of_the_award_when_a_dispute_is_won(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake) as clock:
        subscribe(fake, user)
        assert set(fake.deliver_pending()) == {200}
        (cycle,) = Transaction.objects.filter(category="subscription_credits")
        dispute = fake.open_dispute(charge_of(fake, fake.all("invoice")[0]))
        assert set(fake.deliver_pending()) == {200}
        assert (refunds(), user.credits) == ([-600], 0)
        clock.shift(timedelta(days=3))
        fake.win_dispute(dispute)
        assert set(fake.deliver_pending()) == {200}
        rows = Transaction.objects.filter(category="subscription_refund", amount__gt=0)
        assert {(row.amount, row.expires_at) for row in rows} == {(500, cycle.expires_at), (100, None)}
        assert user.credits == 600
    assert list(verify()) == []


@pytest.mark.behaviour("DEC-16")
def test_give_back_nothing_that_would_have_expired(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake) as clock:
        subscribe(fake, user)
        assert set(fake.deliver_pending()) == {200}
        refund = fake.refund(charge_of(fake, fake.all("invoice")[0]))
        assert set(fake.deliver_pending()) == {200}
        clock.shift(timedelta(days=40))
        fake.fail_refund(refund)
        for _time in range(2):
            assert set(fake.deliver_pending()) == {200}
            fake.reissue(fake.event("refund.failed"))
        assert refunds() == [-600, 100]
        assert user.credits == 100
    assert list(verify()) == []


@pytest.mark.behaviour("RFD-09")
@pytest.mark.parametrize("refunded_first", [0, 1])
def test_take_back_a_change_of_plan_with_the_invoice_that_paid_it(
    fake: FakeStripe, user: User, refunded_first: int
) -> None:
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user)
        assert set(fake.deliver_pending()) == {200}
        clock.shift(timedelta(days=10))
        fake.change_plan(subscription, "price_ultra", proration_behavior="always_invoice")
        assert set(fake.deliver_pending()) == {200}
        assert user.credits == 5_600
        invoices = fake.all("invoice")
        taken = [-600, -5_000]
        for number in (refunded_first, 1 - refunded_first):
            fake.refund(charge_of(fake, invoices[number]))
            assert set(fake.deliver_pending()) == {200}
            assert refunds()[-1] == taken[number]
        assert (len(refunds()), user.credits) == (2, 0)
    assert list(verify()) == []


@pytest.mark.behaviour("RFD-10")
def test_take_back_what_a_plan_awarded_that_is_sold_no_more(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake):
        subscribe(fake, user)
        assert set(fake.deliver_pending()) == {200}
        fake.refund(charge_of(fake, fake.all("invoice")[0]))
        with configured(SUBSCRIPTION_PLANS=[]):
            assert set(fake.deliver_pending()) == {200}
        assert (refunds(), user.credits) == ([-600], 0)


def test_find_the_invoice_of_an_older_payload(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake):
        subscribe(fake, user)
        assert set(fake.deliver_pending()) == {200}
        for endpoint in fake.all("webhook_endpoint"):
            endpoint["api_version"] = "2024-06-20"
        fake.refund(charge_of(fake, fake.all("invoice")[0]), 1_450)
        with fake.outage("/v1/invoice_payments", status=404):
            assert set(fake.deliver_pending()) == {200}
        assert (refunds(), user.credits) == ([-300], 300)


@pytest.mark.behaviour("RFD-16")
def test_ignore_refund_of_invoice_that_is_no_plan_of_ours(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake):
        user.give_credits(50)
        subscribe(fake, user, "price_other")
        assert set(fake.deliver_pending()) == {200}
        fake.refund(charge_of(fake, fake.all("invoice")[0]))
        assert set(fake.deliver_pending()) == {200}
    assert (refunds(), user.credits) == ([], 50)


@pytest.mark.behaviour("DEC-12", "DEC-16")
def test_invoice_and_refunds_in_every_order_told_twice_end_alike(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake):
        for number, order in enumerate(itertools.permutations("012"), start=1):
            before = len(fake.announced)
            subscribe(fake, user)
            invoice = fake.all("invoice")[-1]
            fake.refund(charge_of(fake, invoice), 290)
            fake.fail_refund(fake.refund(charge_of(fake, invoice), 1_450))
            told = {event["type"]: event for event in fake.announced[before:]}
            names = ("invoice.paid", "charge.refunded", "refund.failed")
            for position in order + order[::-1]:
                assert fake.deliver(fake.reissue(told[names[int(position)]])) == [200]
            assert user.credits == 540 * number, order
    assert refunds() == [-60] * 6
    assert list(verify()) == []

from __future__ import annotations

import itertools

import pytest

from tests.app.models import User
from tests.billing.shopping import charge_of, check_out
from usage_credits.ledger.verification import verify
from usage_credits.models import Fulfillment, Transaction
from usage_credits.testing import FakeStripe


@pytest.mark.behaviour("DEC-12", "DEC-16", "RFD-09")
def test_grant_and_refunds_in_every_order_told_twice_end_alike(fake: FakeStripe, user: User) -> None:
    for number, order in enumerate(itertools.permutations("0123"), start=1):
        session = fake.pay(check_out(user, "hundred").id)
        grant = fake.event("checkout.session.completed")
        fake.refund(charge_of(fake, session), 250)
        fake.refund(charge_of(fake, session), 330)
        told = [grant, *[event for event in fake.announced if event["type"] == "charge.refunded"][-2:]]
        told.append(fake.event("refund.created"))
        for position in order + order[::-1]:
            assert fake.deliver(fake.reissue(told[int(position)])) == [200]
        assert Fulfillment.objects.count() == number
        assert user.credits == 42 * number, order
    assert sum(
        Transaction.objects.filter(category="credit_pack_refund").values_list("amount", flat=True)
    ) == (-58 * 24)
    assert list(verify()) == []


@pytest.mark.behaviour("DEC-12", "DEC-16")
def test_refunds_heard_as_they_happen_end_as_heard_at_the_end(fake: FakeStripe, user: User) -> None:
    for steps in itertools.product([True, False], repeat=5):
        session = fake.pay(check_out(user, "hundred").id)
        charge = charge_of(fake, session)
        before = user.credits
        told_at = iter(steps)

        def maybe_hear(heard: bool) -> None:
            if heard:
                assert set(fake.deliver_pending()) == {200}

        maybe_hear(next(told_at))
        first = fake.refund(charge, 250)
        maybe_hear(next(told_at))
        fake.refund(charge, 330)
        maybe_hear(next(told_at))
        fake.fail_refund(first, lowers=steps[0])
        maybe_hear(next(told_at))
        dispute = fake.open_dispute(charge, 500)
        maybe_hear(next(told_at))
        fake.win_dispute(dispute)
        maybe_hear(True)
        assert user.credits == before + 67, steps
    assert list(verify()) == []

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.app.models import User
from tests.billing.shopping import announce, buy, charge_of, pack_metadata, pay_directly
from usage_credits.ledger.verification import verify
from usage_credits.models import Transaction
from usage_credits.testing import FakeStripe, capture_events

pytestmark = pytest.mark.behaviour("RFD-17", "DEC-16")


@pytest.fixture(autouse=True)
def _sound(db: None) -> Iterator[None]:
    yield
    assert list(verify()) == []


@pytest.fixture
def charge(fake: FakeStripe, user: User) -> dict[str, Any]:
    """Return the charge of a bought pack of 1000 credits for 4900."""
    return charge_of(fake, buy(fake, user))


def hear(fake: FakeStripe) -> None:
    assert set(fake.deliver_pending()) == {200}


def refunds() -> list[int]:
    rows = Transaction.objects.filter(category="credit_pack_refund").order_by("pk")
    return list(rows.values_list("amount", flat=True))


def test_take_back_what_is_disputed_once_until_it_is_lost(
    fake: FakeStripe, user: User, charge: dict[str, Any]
) -> None:
    dispute = fake.open_dispute(charge)
    with capture_events() as events:
        hear(fake)
    assert (refunds(), user.credits) == ([-1_000], 0)
    (told,) = (event for event in events if event.event == "credits_refunded")
    assert told.metadata is not None
    assert (told.metadata["disputed_cents"], told.metadata["refunded_cents"]) == (4_900, 0)
    fake.answer_dispute(dispute)
    hear(fake)
    fake.lose_dispute(dispute)
    hear(fake)
    assert refunds() == [-1_000]


def test_give_back_when_a_dispute_is_won(fake: FakeStripe, user: User, charge: dict[str, Any]) -> None:
    dispute = fake.open_dispute(charge, 2_450)
    hear(fake)
    assert user.credits == 500
    fake.win_dispute(dispute)
    hear(fake)
    assert (refunds(), user.credits) == ([-500, 500], 1_000)


def test_lower_the_claim_when_a_dispute_is_won(fake: FakeStripe, user: User, charge: dict[str, Any]) -> None:
    user.wallet().debit(900)
    dispute = fake.open_dispute(charge)
    hear(fake)
    user.give_credits(50)
    assert (refunds(), user.wallet().claims) == ([-100, -50], 850)
    fake.win_dispute(dispute)
    hear(fake)
    assert (refunds(), user.wallet().claims, user.credits) == ([-100, -50, 150], 0, 150)


def test_take_back_nothing_for_an_inquiry_until_it_becomes_a_dispute(
    fake: FakeStripe, user: User, charge: dict[str, Any]
) -> None:
    closed = fake.open_dispute(charge, 100, inquiry=True)
    hear(fake)
    fake.close_dispute(closed)
    hear(fake)
    inquiry = fake.open_dispute(charge, 2_450, inquiry=True)
    hear(fake)
    assert user.credits == 1_000
    fake.escalate_dispute(inquiry)
    hear(fake)
    assert user.credits == 500


def test_take_back_nothing_for_a_prevented_dispute(
    fake: FakeStripe, user: User, charge: dict[str, Any]
) -> None:
    fake.open_dispute(charge)["status"] = "prevented"
    hear(fake)
    assert user.credits == 1_000


def test_take_back_no_more_than_all_for_refunds_and_disputes_together(
    fake: FakeStripe, user: User, charge: dict[str, Any]
) -> None:
    user.give_credits(300)
    fake.refund(charge, 2_450)
    fake.open_dispute(charge)
    hear(fake)
    assert (sum(refunds()), user.credits) == (-1_000, 300)


@pytest.mark.behaviour("PFL-06")
def test_award_nothing_of_a_payment_disputed_before_it_was_seen_until_that_is_won(
    fake: FakeStripe, user: User
) -> None:
    intent = pay_directly(pack_metadata(user))
    dispute = fake.open_dispute(intent.latest_charge)
    assert announce(fake, intent) == [200, 200]
    hear(fake)
    assert not Transaction.objects.exists()
    fake.win_dispute(dispute)
    hear(fake)
    assert user.credits == 1_000
